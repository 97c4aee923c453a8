"""Measure the choice of weights: how often an old JPEG's grid is found, and what choosing costs.

python benchmarks/choice.py
python benchmarks/choice.py --video CLIP.mp4

Pictures are T91's at five sizes, on which the detector's threshold was set, and those of Set14,
BSD300 and BSD200, made small by bicubic: first as they are, then as JPEGs of several qualities that
were cropped by some pixels, so that the grid lies anywhere. Writes results/grid.csv.
Costs are of a picture, of loading weights, and of a frame of the video in each codec, beside
upscaling it. Writes results/choice.csv.
"""

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image
from tqdm import tqdm

from espcn.data.datasets import load_set
from espcn.data.patches import rescale
from espcn.imaging.color import to_channels
from espcn.imaging.degradation import BENCHMARK
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.jpeg_traces import grid_quality
from espcn.io.atomic import write_csv
from espcn.network.strengths import Compression
from espcn.report.tables import table
from espcn.upscaling.upscaler import Upscaler
from espcn.video.compression import VideoCompression
from espcn.video.frames import upscale_frame

RESULTS = Path(__file__).resolve().parent.parent / "results"
QUALITIES = (30, 50, 70, 80, 90, 95)
PICTURES = {  # and the sizes at which they are used
    ("T91",): (1.0, 0.9, 0.8, 0.7, 0.6),
    ("Set14", "BSD300", "BSD200"): (1.0,),
}
LEAST = 64  # pixels a side: smaller ones are icons
FRAMES = 48
ENCODERS = {
    "H.264": ("libx264", {"preset": "medium", "crf": "23"}),
    "HEVC": ("libx265", {"preset": "medium", "crf": "26", "x265-params": "log-level=error"}),
    "VP9": ("libvpx-vp9", {"b": "0", "cpu-used": "4", "crf": "33"}),
    "AV1": ("libsvtav1", {"preset": "8", "crf": "35"}),
    "MJPEG": ("mjpeg", {"qmin": "4", "qmax": "4"}),
}


def small_pictures(sets: Sequence[str], scales: Sequence[float]) -> Iterator[np.ndarray]:
    """Yield the colour images of sets at several sizes, made small by 2, 3 and 4, uint8 RGB."""
    images = [one for name in sets for one in load_set(name).images if one.ndim == 3]
    for pixels in tqdm(images, ", ".join(sets), unit="image"):
        for r in (2, 3, 4):
            for scale in scales:
                planes = crop_to_multiple(rescale(to_channels(pixels, 3), scale), r)
                low = BENCHMARK(planes, r).permute(1, 2, 0).numpy()
                if min(low.shape[:2]) >= LEAST:
                    yield low


def grid(sets: Sequence[str], scales: Sequence[float]) -> list[dict[str, Any]]:
    """Return how many pictures a grid is found in: clean ones, and JPEGs of each quality."""
    found: dict[int | None, list[float | None]] = {None: []} | {q: [] for q in QUALITIES}
    for number, pixels in enumerate(small_pictures(sets, scales)):
        found[None].append(grid_quality(pixels))
        for quality in QUALITIES:
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=quality)
            read = np.array(Image.open(file))[number % 8 :, number // 8 % 8 :]
            found[quality].append(grid_quality(read))
    rows: list[dict[str, Any]] = []
    for made, qualities in found.items():
        quality = made or 0
        told = [one for one in qualities if one is not None]
        off = statistics.median(abs(one - quality) for one in told) if quality and told else None
        rows.append(
            {"sets": ", ".join(sets), "quality": made or "clean", "pictures": len(qualities),
             "found": len(told), "share": len(told) / len(qualities), "median error": off}
        )  # fmt: skip
    return rows


def seconds(work: Callable[[], object], turns: int = 5) -> float:
    """Return the median time of some work."""
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def decode(path: Path, choosing: bool) -> list[Any]:
    """Decode some frames, with or without looking for their quantisers."""
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        found = VideoCompression(stream) if choosing else None
        for packet in container.demux(stream):
            if found is not None:
                found.see_packet(packet)
            for frame in packet.decode():
                if found is not None:
                    found.see_frame(frame)
                    found()
                frames.append(frame)
            if len(frames) >= FRAMES:
                break
    return frames


def costs(video: Path | None) -> list[dict[str, Any]]:
    """Return what choosing and loading take, in milliseconds."""
    pixels = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    plain = Upscaler(2)
    strengths = iter(np.linspace(94, 20, 40))

    def load_one() -> None:
        plain.suited_to(Compression("jpeg", float(next(strengths))))

    rows = [
        {"what": "a picture's grid, 1920x1080", "ms": 1000 * seconds(lambda: grid_quality(pixels))},
        {"what": "weights of another strength", "ms": 1000 * seconds(load_one, 8)},
    ]
    if video is None:
        return rows
    with tempfile.TemporaryDirectory() as folder:
        for name, (codec, options) in ENCODERS.items():
            path = Path(folder) / f"{name}.mkv"
            encode(video, path, codec, options)
            frames = decode(path, False)
            with_it, without = (seconds(partial(decode, path, chosen)) for chosen in (True, False))
            added = 1000 * (with_it - without) / len(frames)
            rows.append({"what": f"a frame's quantisers, {name}", "ms": added})
        upscaling = seconds(lambda: [upscale_frame(plain, frame) for frame in frames[:8]]) / 8
        rows.append({"what": "upscaling a frame by 2", "ms": 1000 * upscaling})
    return rows


def encode(source: Path, target: Path, codec: str, options: dict[str, str]) -> None:
    """Encode the first frames of a video, 640x360."""
    with av.open(str(source)) as incoming, av.open(str(target), "w") as outgoing:
        video = incoming.streams.video[0]
        stream: Any = outgoing.add_stream(codec, rate=video.average_rate or 25, options=options)
        full = codec == "mjpeg"
        stream.width, stream.height = 640, 360
        stream.pix_fmt = "yuvj420p" if full else "yuv420p"
        for frame in islice(incoming.decode(video), FRAMES):
            outgoing.mux(stream.encode(frame.reformat(640, 360, stream.pix_fmt)))
        outgoing.mux(stream.encode(None))


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, help="a video: what choosing costs in each codec")
    given = parser.parse_args()
    os.environ.setdefault("SVT_LOG", "1")  # errors alone
    rows = costs(given.video)
    if given.video:
        write_csv(RESULTS / "choice.csv", rows, digits=3)
    print(table(rows))
    rows = [row for sets, scales in PICTURES.items() for row in grid(sets, scales)]
    write_csv(RESULTS / "grid.csv", rows, digits=4)
    print(table(rows, digits=3, settings=("quality", "pictures", "found")))


if __name__ == "__main__":
    main()
