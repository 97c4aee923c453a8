"""Measure upscaling on what people have: colour JPEGs, and videos by x264, x265 and VP9.

python benchmarks/real.py
python benchmarks/real.py --only pictures -r 2 --sets Set14
python benchmarks/real.py --clips DIR

Pictures: each is made small channel by channel, saved as a JPEG by Pillow, read, chosen for and
upscaled by the program. Clips (found by `--clips` or `ESPCN_VIDEO`): each is made small, encoded,
upscaled by `upscale.py` itself and written without loss. PSNR and SSIM are on luma, gains over
bicubic in dB. Beside the automatic choice stand the clean weights (T91's; for clean sources the
program takes the finer ones), and the best of all files.
Writes results/real_pictures.csv and results/real_videos.csv; draw.py draws them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from espcn.data.datasets import load_set
from espcn.imaging.color import to_channels
from espcn.imaging.degradation import BENCHMARK
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.metrics import PEAK, crop_border, psnr, quantize, ssim
from espcn.imaging.resize import imresize
from espcn.io.atomic import write_csv
from espcn.io.reading import read_picture
from espcn.network.strengths import links
from espcn.report.tables import table
from espcn.upscaling.compression import picture_compression
from espcn.upscaling.upscaler import Upscaler

ROOT = Path(__file__).resolve().parent.parent
SETS = ("Set5", "Set14", "BSD300")
QUALITIES = (100, 95, 90, 80, 70, 60, 50, 40, 30, 20)
FRAMES = 60  # of each clip
EVERY = 5  # of them are scored
LEAST = 50  # low-resolution columns: x265 crashes on frames of 44
ENCODERS: dict[str, tuple[dict[str, str], tuple[int, ...]]] = {
    "libx264": ({"preset": "medium"}, (18, 23, 28, 33)),
    "libx265": (
        {"preset": "medium", "x265-params": "log-level=error:pools=none:frame-threads=1"},
        (18, 23, 28, 33),
    ),
    "libvpx-vp9": ({"b": "0", "cpu-used": "4", "row-mt": "1"}, (20, 30, 40, 50)),
}


def luma_of(pixels: np.ndarray) -> Tensor:
    """Return the luma of a picture as it is shown, float64 `(1, height, width)`."""
    return to_channels(pixels, 1).double()


def enlarged(pixels: np.ndarray, r: int) -> np.ndarray:
    """Upscale all channels by bicubic interpolation, as a viewer would."""
    planes = torch.from_numpy(pixels).permute(2, 0, 1).double()
    large = imresize(planes, r * planes.shape[1], r * planes.shape[2])
    return quantize(large).to(torch.uint8).permute(1, 2, 0).numpy()


def figures(name: str, output: Tensor, original: Tensor, r: int, with_ssim: bool) -> dict[str, Any]:
    """Return the PSNR, and SSIM where asked for, under a method's name."""
    output, original = crop_border(output, r), crop_border(original, r)
    row: dict[str, Any] = {name: psnr(output, original, data_range=PEAK)}
    if with_ssim:
        row[f"{name}_ssim"] = ssim(output[0], original[0], data_range=PEAK)
    return row


def score_picture(
    program: Upscaler,
    upscalers: dict[str, Upscaler],
    pixels: np.ndarray,
    quality: int,
    folder: Path,
) -> dict[str, Any]:
    """Return the figures of one picture at one quality: the program's choice, and each file."""
    grey = pixels.shape[2] < 3
    r = program.r
    planes = crop_to_multiple(to_channels(pixels, 1 if grey else 3), r)
    small = BENCHMARK(planes, r).permute(1, 2, 0).numpy()
    path = folder / "a.jpg"
    Image.fromarray(small[..., 0] if grey else small).save(path, quality=quality)
    read = read_picture(path.read_bytes())
    original = luma_of(planes.permute(1, 2, 0).numpy())
    found = picture_compression(path)
    chosen = program.suited_to(found)
    row = {"number": found.number}
    row |= figures("bicubic", luma_of(enlarged(read, r)), original, r, True)
    row |= figures("auto", luma_of(chosen(read)), original, r, True)
    for name, upscaler in upscalers.items():
        row |= figures(name, luma_of(upscaler(read)), original, r, name == "clean")
    return row


def pictures(r: int, sets: Sequence[str], qualities: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield a row for each set and quality: the means over the set."""
    program, upscalers = Upscaler(r), by_link(r)
    with tempfile.TemporaryDirectory() as folder:
        for name in sets:
            images = load_set(name)
            for quality in tqdm(qualities, f"x{r} {name}", leave=False):
                rows = [
                    score_picture(program, upscalers, pixels, quality, Path(folder))
                    for pixels in images.images
                ]
                means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
                yield {"r": r, "set": name, "quality": quality} | with_gains(means, upscalers)


def by_link(r: int) -> dict[str, Upscaler]:
    """Return an upscaler for each shipped file of a factor, the clean one first."""
    return {name: Upscaler(ckpt=path) for name, path in links(r).items()}


def with_gains(means: dict[str, Any], upscalers: dict[str, Upscaler]) -> dict[str, Any]:
    """Add the gains over bicubic, and what the choice falls short of the best single file."""
    best = max(upscalers, key=lambda name: means[name])
    return means | {
        "gain_clean": means["clean"] - means["bicubic"],
        "gain_auto": means["auto"] - means["bicubic"],
        "best_file": best,
        "auto_below_best": means[best] - means["auto"],
    }


def small_clip(source: Path, r: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return a clip's first frames, and them made small, both as yuv420p arrays."""
    originals: list[np.ndarray] = []
    small: list[np.ndarray] = []
    with av.open(str(source)) as container:
        for frame in container.decode(video=0):
            if len(originals) == FRAMES:
                break
            array = frame.reformat(format="yuv420p").to_ndarray()
            height, width = frame.height // (4 * r) * 4 * r, frame.width // (4 * r) * 4 * r
            planes = planes_of(array, frame.height, frame.width)
            kept = [planes[0][:height, :width],
                    *(plane[: height // 2, : width // 2] for plane in planes[1:])]  # fmt: skip
            originals.append(kept[0].copy())
            low = [BENCHMARK(torch.from_numpy(np.ascontiguousarray(p))[None], r)[0].numpy()
                   for p in kept]  # fmt: skip
            small.append(np.concatenate([low[0].ravel(), low[1].ravel(), low[2].ravel()]).reshape(
                height // r * 3 // 2, width // r))  # fmt: skip
    return originals, small


def planes_of(array: np.ndarray, height: int, width: int) -> list[np.ndarray]:
    """Return the three planes of a yuv420p array."""
    flat, chroma = array.reshape(-1), (height // 2) * (width // 2)
    return [
        flat[: height * width].reshape(height, width),
        flat[height * width : height * width + chroma].reshape(height // 2, width // 2),
        flat[height * width + chroma :][:chroma].reshape(height // 2, width // 2),
    ]


def encode(frames: Sequence[np.ndarray], path: Path, codec: str, options: dict[str, str]) -> None:
    """Write yuv420p frames to a file."""
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    stream: Any
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1  # x264's output depends on their number
        for number, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def lumas(path: Path) -> list[np.ndarray]:
    """Return the luma of a video's frames, those that are scored."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray()[: frame.height] for frame in container.decode(video=0)]
    return frames[EVERY // 2 :: EVERY]


def upscaled(source: Path, r: int, *arguments: str) -> tuple[list[np.ndarray], str]:
    """Upscale a video by the command, without loss; return its luma, and what the command said."""
    target = source.with_name(f"{source.stem}_large.mkv")
    command = [
        sys.executable,
        str(ROOT / "upscale.py"),
        str(source),
        "-r",
        str(r),
        "-o",
        str(target),
    ]
    options = ["--crf", "0", "--preset", "ultrafast", "--overwrite", *arguments]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if line.startswith(str(source))]
    return lumas(target), said[0].partition(": ")[2] if said else ""


def videos(r: int, clips: Path, encoders: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield a row for each clip, encoder and strength."""
    upscalers = by_link(r)
    for clip in sorted(clips.glob("*.mp4")):
        originals, small = small_clip(clip, r)
        wanted = [torch.from_numpy(one)[None].double() for one in originals[EVERY // 2 :: EVERY]]
        for codec in encoders:
            options, strengths = ENCODERS[codec]
            if codec == "libx265" and small[0].shape[1] < LEAST:
                continue
            for crf in tqdm(strengths, f"x{r} {clip.stem} {codec}", leave=False):
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "a.mkv"
                    encode(small, path, codec, options | {"crf": str(crf)})
                    auto, said = upscaled(path, r)
                    read = lumas(path)
                outputs = {"auto": auto, "bicubic": [bicubic_plane(low, r) for low in read]}
                for name, upscaler in upscalers.items():
                    outputs[name] = [large_luma(upscaler, low) for low in read]
                means: dict[str, Any] = {}
                for name, large in outputs.items():
                    rows = [
                        figures(name, torch.from_numpy(one)[None].double(), original, r,
                                name in ("auto", "bicubic", "clean"))
                        for one, original in zip(large, wanted, strict=True)
                    ]  # fmt: skip
                    means |= {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
                row = {"r": r, "clip": clip.stem, "codec": codec, "crf": crf, "found": said}
                yield row | with_gains(means, upscalers)


def bicubic_plane(low: np.ndarray, r: int) -> np.ndarray:
    """Upscale a plane by bicubic interpolation."""
    return enlarged(low[..., None], r)[..., 0]


def large_luma(upscaler: Upscaler, low: np.ndarray) -> np.ndarray:
    """Upscale a luma plane by one network."""
    large = np.empty((upscaler.r * low.shape[0], upscaler.r * low.shape[1]), np.uint8)
    upscaler.luma(np.ascontiguousarray(low), 8, large)
    return large


def main() -> None:
    """Measure pictures and videos, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", type=int, nargs="+", default=(2, 3, 4), help="factors (2 3 4)")
    parser.add_argument("--only", choices=("pictures", "videos"), help="half of it")
    parser.add_argument("--sets", nargs="+", default=SETS, help="test sets")
    parser.add_argument("--encoders", nargs="+", default=list(ENCODERS), help="of videos")
    parser.add_argument("--clips", default=os.environ.get("ESPCN_VIDEO"), help="folder of clips")
    parser.add_argument("--output", type=Path, default=ROOT / "results", help="folder (results)")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    shown = ("r", "set", "clip", "codec", "crf", "quality", "gain_clean", "gain_auto",
             "best_file", "auto_below_best", "found")  # fmt: skip
    work: dict[str, Iterator[dict[str, Any]]] = {}
    if given.only != "videos":
        work["real_pictures"] = (row for r in given.r for row in pictures(r, given.sets, QUALITIES))
    if given.only != "pictures" and given.clips:
        work["real_videos"] = (
            row for r in given.r for row in videos(r, Path(given.clips), given.encoders)
        )
    for name, found in work.items():
        rows = []
        for row in found:  # kept one by one: nothing measured is lost
            rows.append(row)
            write_csv(given.output / f"{name}.csv", rows, digits=4)
        kept = [{key: row[key] for key in shown if key in row} for row in rows]
        print(table(kept, digits=3, settings=("r", "quality", "crf")))


if __name__ == "__main__":
    main()
