"""Find which of the shipped weights each codec asks for, on images that they have not seen.

python benchmarks/calibrate.py

The links were trained on T91 alone, so that the images of BSD200 are held out. They are encoded as
files and as moving excerpts, and read as the program reads them. Writes results/calibration.csv and
espcn/network/pretrained/levels.json.
"""

import argparse
import csv
import io
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pillow_heif
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from espcn.data.datasets import load_set
from espcn.data.patches import rescale
from espcn.evaluation.protocol import super_resolve
from espcn.imaging.color import luma, to_channels
from espcn.imaging.degradation import BENCHMARK
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.metrics import PEAK, crop_border, psnr, quantize
from espcn.io.atomic import write_csv, write_json
from espcn.network.strengths import (
    CHAINS,
    SHIPPED,
    STILLNESS,
    USUAL_DETAIL,
    Compression,
    Strength,
    links,
    load_strength,
)
from espcn.network.weights import load
from espcn.upscaling.compression import picture_compression
from espcn.video.compression import VideoCompression

RESULTS = Path(__file__).parents[1] / "results"
FACTORS = (2, 3, 4)
STEP = 0.25  # of the levels that are tried
IMAGES = 10  # of BSD200, of which one is taken
REDUCED = 0.8  # its images, which are JPEGs of quality 94 or so
LEAST = 64  # low-resolution pixels a side: x265 crashes on smaller ones
MOST = 160  # of excerpts: enough detail, and sooner done
SCALES = (1.6, 1.2, 0.8)  # of the excerpts: sharp ones, and as soft as videos
STILLS: dict[str, tuple[str, Sequence[int]]] = {
    "jpeg": ("JPEG", (100, 98, 95, 92, 90, 85, 80, 75, 70, 60, 50, 40, 30, 20, 10)),
    "webp": ("WEBP", (100, 95, 90, 80, 70, 50, 30, 10)),
    "avif": ("AVIF", (95, 85, 75, 65, 55, 45, 30)),
    "heic": ("HEIF", (95, 80, 65, 50, 40, 30, 20)),
}
VIDEOS: dict[str, tuple[str, dict[str, str], Sequence[int]]] = {
    "h264": ("libx264", {"preset": "medium", "x264-params": "asm=SSE4.2"},
             (8, 12, 16, 20, 24, 28, 32, 36, 40)),
    "hevc": ("libx265", {"preset": "medium", "x265-params": "log-level=error:pools=1"},
             (12, 18, 22, 26, 30, 34, 38)),
    "vp9": ("libvpx-vp9", {"b": "0", "cpu-used": "4"}, (10, 20, 28, 36, 44, 52)),
    "av1": ("libsvtav1", {"preset": "8"}, (10, 20, 28, 36, 44, 52)),
}  # fmt: skip
CODECS = (*STILLS, *VIDEOS)

Sample = tuple[Compression, Tensor, Tensor]  # what was found, the damaged luma, the original


def held_out(r: int) -> list[Tensor]:
    """Return some images of BSD200 in RGB, made a little smaller and cropped to a multiple of r."""
    images = [to_channels(image, 3) for image in load_set("BSD200").images[::IMAGES]]
    return [crop_to_multiple(rescale(image, REDUCED), r) for image in images]


def stills(kind: str, quality: int, images: Sequence[Tensor], r: int) -> Iterator[Sample]:
    """Yield each image's low-resolution version as read from a file of some format."""
    with tempfile.TemporaryDirectory() as folder:
        for image in images:
            small = BENCHMARK(image, r).permute(1, 2, 0).numpy()
            path = Path(folder) / f"a.{kind.lower()}"
            Image.fromarray(small).save(path, kind, quality=quality)
            found = picture_compression(path)
            read = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)
            yield found, luma(read), luma(image)


def videos(codec: str, crf: int, images: Sequence[Tensor], r: int) -> Iterator[Sample]:
    """Yield the middle frame of a moving excerpt of each image, as read from a video."""
    encoder, options, _ = VIDEOS[codec]
    for image in images:
        for scale in SCALES:
            plane = crop_to_multiple(luma(rescale(image, scale)).to(torch.uint8), 2 * r)
            plane = middle(plane, MOST * r)
            if min(plane.shape[-2:]) < LEAST * r:
                continue
            frames, shown = BENCHMARK.excerpt(plane, r)
            found, read = through_video(frames, encoder, options | {"crf": str(crf)})
            yield found, read[shown][None], plane.double()


def middle(plane: Tensor, most: int) -> Tensor:
    """Return the middle of a plane, at most so many pixels a side."""
    height, width = (min(side, most) for side in plane.shape[-2:])
    top, left = (plane.shape[-2] - height) // 2, (plane.shape[-1] - width) // 2
    return plane[..., top : top + height, left : left + width]


def through_video(
    frames: Sequence[Tensor], encoder: str, options: dict[str, str]
) -> tuple[Compression, list[Tensor]]:
    """Encode luma frames, and return what the program finds and reads."""
    _, height, width = frames[0].shape
    file = io.BytesIO()
    stream: Any
    with av.open(file, "w", "matroska") as container:
        stream = container.add_stream(encoder, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for number, frame in enumerate(frames):
            chroma = np.full((height // 2, width), 128, np.uint8)
            planes = np.ascontiguousarray(np.concatenate([frame[0].numpy(), chroma]))
            picture = av.VideoFrame.from_ndarray(planes, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    file.seek(0)
    read = []
    with av.open(file, "r") as source:
        stream = source.streams.video[0]
        found = VideoCompression(stream)
        for packet in source.demux(stream):
            found.see_packet(packet)
            for decoded in packet.decode():
                found.see_frame(decoded)
                read.append(torch.from_numpy(decoded.to_ndarray()[:height].copy()))
    return found(), read


def chain(r: int, kind: str) -> list[dict[str, Tensor]]:
    """Return the weights of the levels that are tried, from 0 to the last link."""
    most = sum(name.startswith(kind) for name in links(r))
    levels = np.arange(0, most + STEP, STEP)
    return [load_strength(r, Strength(kind, float(level))).state_dict() for level in levels]


def curve(states: Sequence[dict[str, Tensor]], samples: Sequence[Sample], r: int) -> np.ndarray:
    """Return the mean PSNR over samples at each level, in dB."""
    network = load(r).network
    means = []
    for state in states:
        network.load_state_dict(state)
        figures = [
            psnr(
                crop_border(quantize(super_resolve(network, low)), r),
                crop_border(original, r),
                data_range=PEAK,
            )
            for _, low, original in samples
        ]
        means.append(float(np.mean(figures)))
    return np.array(means)


def best_level(figures: np.ndarray) -> float:
    """Return where the parabola through the best level and its neighbours is highest."""
    k = int(figures.argmax())
    if k in (0, len(figures) - 1):
        return k * STEP
    before, top, after = figures[k - 1 : k + 2]
    bend = before - 2 * top + after
    return STEP * (k + (0.5 * (before - after) / bend if bend < 0 else 0.0))


def calibrate(r: int, codec: str) -> list[dict[str, Any]]:
    """Return a row for each strength of one codec and factor."""
    images, states = held_out(r), chain(r, CHAINS[codec])
    encoder, *_, settings = (STILLS | VIDEOS)[codec]
    rows = []
    for value in tqdm(settings, f"r = {r}, {codec}"):
        if codec in STILLS:
            samples = list(stills(encoder, value, images, r))
        else:
            samples = list(videos(codec, value, images, r))
        figures = curve(states, samples, r)
        numbers = [found.at_detail(USUAL_DETAIL[r]) for found, *_ in samples]
        rows.append(
            {
                "codec": codec, "r": r, "setting": value,
                "number": float(np.mean(numbers)) + STILLNESS.get(codec, 0.0),
                "level": best_level(figures), "psnr": figures.max(), "psnr_clean": figures[0],
                "others": " ".join(f"{figure:.2f}" for figure in figures),
            }
        )  # fmt: skip
    return rows


def main() -> None:
    """Measure all factors, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", type=int, nargs="+", default=FACTORS, help="factors (2 3 4)")
    parser.add_argument("--codecs", nargs="+", default=CODECS, choices=CODECS, help="(all)")
    given = parser.parse_args()
    pillow_heif.register_heif_opener()
    for r, codec in product(given.r, given.codecs):
        store(calibrate(r, codec))


def store(measured: list[dict[str, Any]]) -> None:
    """Put one codec's rows of one factor into both files, in place of those that are there."""
    path, rows = RESULTS / "calibration.csv", []
    if path.is_file():
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    again = {(row["codec"], int(row["r"])) for row in measured}
    rows = [row for row in rows if (row["codec"], int(row["r"])) not in again] + measured
    rows.sort(key=lambda row: (int(row["r"]), CODECS.index(row["codec"])))  # strengths keep theirs
    write_csv(path, rows, digits=4)
    levels: dict[str, dict[str, list[list[float]]]] = {}
    for row in rows:
        knots = levels.setdefault(row["codec"], {}).setdefault(str(row["r"]), [])
        knots.append([round(float(row["number"]), 1), round(float(row["level"]), 2)])
    write_json(SHIPPED / "levels.json", {c: {r: monotonous(k) for r, k in by_r.items()}
                                         for c, by_r in levels.items()})  # fmt: skip


def monotonous(knots: Sequence[list[float]]) -> list[list[float]]:
    """Return knots from weak to strong compression, whose levels never fall."""
    kept: list[list[float]] = []
    for number, level in knots:
        kept.append([number, max(level, kept[-1][1] if kept else 0.0)])
    return kept


if __name__ == "__main__":
    main()
