"""A video upscaled the whole way, from file to file, and where the time goes.

    python benchmarks/video.py

The clip is Big Buck Bunny at 640x360, made from the shared 1280x720 one; at r = 3 it becomes
1920x1080. Reading, the network and writing are timed each alone, then all together as upscale.py
does it, in turns, and the figure is the median: what the three sum up to is what two cores share.
The network runs in its default precision and in int8. Beside it stands what a user would do
instead: the same file, enlarged by swscale's bicubic and written by the same encoder, its stages in
threads of their own, too. Writes results/video.csv.
"""

# ruff: noqa: E402

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from espcn.openmp import wait_asleep

wait_asleep()  # as upscale.py does, before PyTorch is imported

import av
from av.video.reformatter import Interpolation

from espcn.io.atomic import write_csv
from espcn.io.prefetch import prefetch
from espcn.report.tables import table
from espcn.upscaling.upscaler import Upscaler
from espcn.video.encoding import Encoding
from espcn.video.frames import upscale_frame
from espcn.video.pipeline import upscale_video

RESULTS = Path(__file__).resolve().parent.parent / "results"
CLIP = Path("../shared/video/bigbuckbunny.mp4")
WIDTH, HEIGHT = 640, 360
PRESETS = ("veryfast", "superfast")


def make_clip(source: Path, target: Path) -> None:
    """Make the 640x360 clip, H.264 at CRF 18, without sound."""
    with av.open(str(source)) as incoming, av.open(str(target), "w") as outgoing:
        video = incoming.streams.video[0]
        stream = outgoing.add_stream("libx264", rate=video.average_rate or 25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "18", "preset": "veryfast"}
        for frame in incoming.decode(video):
            outgoing.mux(stream.encode(frame.reformat(WIDTH, HEIGHT)))
        outgoing.mux(stream.encode(None))


def read(clip: Path) -> list[av.VideoFrame]:
    """Decode all frames."""
    with av.open(str(clip)) as incoming:
        incoming.streams.video[0].thread_type = "AUTO"
        return list(incoming.decode(video=0))


def upscale(upscaler: Upscaler, frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
    """Upscale all frames: luma by the network, chroma bicubic."""
    return [upscale_frame(upscaler, frame) for frame in frames]


def write(frames: list[av.VideoFrame], path: Path, preset: str) -> None:
    """Encode frames."""
    with av.open(str(path), "w") as outgoing:
        stream = outgoing.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        stream.options = {"crf": "18", "preset": preset}
        stream.codec_context.time_base = frames[0].time_base or Fraction(1, 25)
        for frame in frames:
            outgoing.mux(stream.encode(frame))
        outgoing.mux(stream.encode(None))


def enlarge(clip: Path, target: Path, encoding: Encoding) -> None:
    """Enlarge the clip by swscale's bicubic filter, and encode it in the same way."""
    codec, options = encoding.within("mp4")
    with av.open(str(clip)) as incoming, av.open(str(target), "w") as outgoing:
        video = incoming.streams.video[0]
        video.thread_type = "AUTO"
        size = 3 * video.width, 3 * video.height
        stream: Any = outgoing.add_stream(codec, rate=video.average_rate, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = video.time_base
        frames = prefetch(incoming.decode(video), 8)
        large = (one.reformat(*size, interpolation=Interpolation.BICUBIC) for one in frames)
        for frame in prefetch(large, 4):
            outgoing.mux(stream.encode(frame))
        outgoing.mux(stream.encode(None))


def main() -> None:
    """Time each way in turns; print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clip", type=Path, default=CLIP, help=f"the source ({CLIP})")
    parser.add_argument("--turns", type=int, default=5, help="times that each way is run (5)")
    parser.add_argument("--precision", nargs="+", default=["auto", "int8"], help="(auto int8)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (results)")
    given = parser.parse_args()
    if not given.clip.is_file():
        parser.error(f"--clip (={given.clip}) must be a video file: name one")
    upscalers = [Upscaler(3, precision=precision) for precision in given.precision]
    seconds: dict[tuple[str, str], list[float]] = {}

    def note(stage: str, preset: str, work: Callable[..., Any], *arguments: Any) -> Any:
        started = time.perf_counter()
        result = work(*arguments)
        seconds.setdefault((stage, preset), []).append(time.perf_counter() - started)
        return result

    with tempfile.TemporaryDirectory() as folder:
        clip, target = Path(folder) / "clip.mp4", Path(folder) / "clip_x3.mp4"
        make_clip(given.clip, clip)
        for upscaler in upscalers:
            upscale_video(upscaler, clip, target)  # once to warm up
        for _ in range(given.turns):
            frames = note("reading", "", read, clip)
            for upscaler in upscalers:
                stage = f"network and chroma, {upscaler.engine.precision}"
                large = note(stage, "", upscale, upscaler, frames)
            for preset in PRESETS:
                note("writing", preset, write, large, target, preset)
            large.clear()
            for preset in PRESETS:
                encoding = Encoding(preset=preset)
                for upscaler in upscalers:
                    stage = f"the whole way, {upscaler.engine.precision}"
                    note(stage, preset, upscale_video, upscaler, clip, target, None, encoding)
                note("swscale's bicubic instead", preset, enlarge, clip, target, encoding)
    rows = []
    for (stage, preset), times in seconds.items():
        middle, slowest = (x / len(frames) for x in (statistics.median(times), max(times)))
        rows.append(
            {
                "stage": stage, "preset": preset, "ms a frame": 1000 * middle,
                "frames/s": 1 / middle, "slowest turn": 1 / slowest,
            }
        )  # fmt: skip
    print(f"{len(frames)} frames; {'; '.join(str(one.engine) for one in upscalers)}\n")
    print(table(rows, digits=1))
    given.output.mkdir(parents=True, exist_ok=True)
    write_csv(given.output / "video.csv", rows, digits=4)


if __name__ == "__main__":
    main()
