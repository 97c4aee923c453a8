"""What the readers of pictures, videos and checkpoints make of damaged and hostile files.

    python benchmarks/fuzz.py
    python benchmarks/fuzz.py --again FILE      # a saved input once more, in this process

Small files of every format are made, then changed by chance: bytes, ranges, lengths, the numbers in
their headers. Each must be read or refused by a ValueError or OSError of one line. All else has
failed: another error, the end of the process, 20 seconds without a sign of life, 2 GB of memory.
Its input is saved. Pictures are read whole and by rows, which must agree; videos are enlarged by 2.
The same seed gives the same inputs. Needs Linux. Writes results/fuzz.csv.
"""

import argparse
import io
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyvips
import torch
from PIL import Image
from tqdm import tqdm

from espcn.files import write_csv
from espcn.report import table

RESULTS = Path(__file__).resolve().parent.parent / "results"
WIDTH, HEIGHT, FRAMES = 48, 32, 6
SECONDS = 20  # without a sign of life: a picture, or a frame of a video
MEMORY = 2 * 10**9  # bytes, above what the worker had before
ROWS = 100_000  # pixels of a picture that are asked for at a time
EDGE = 512  # bytes at both ends of a file, which tell most of it and are changed most
VIDEOS = ("mp4", "mkv", "webm", "avi", "ts")
CHECKPOINTS = ("ckpt", "safetensors")
READ, REFUSED, FAILED = "read", "refused", "failed"


@dataclass
class Outcome:
    """What became of an input: `verdict` is one of the three above, `words` are the error's."""

    number: int
    verdict: str
    words: str
    seconds: float
    memory: int  # bytes above what there was before, as far as it was seen


def make_files() -> dict[str, bytes]:
    """Make a whole file of each kind; the name's last part is the ending of the file."""
    clips = {}
    for ending in VIDEOS:  # of several, for x264 now and then makes another
        made = Counter(_clip(ending) for _ in range(5))
        clips[f"clip.{ending}"] = made.most_common(1)[0][0]
    return _pictures() | clips | _checkpoints()


def mutated(content: bytes, seed: int, number: int) -> bytes:
    """Give a file changed by chance, in one to four ways, the same for the same numbers."""
    chance = random.Random(f"{seed} {number}")
    for _ in range(chance.choice((1, 1, 2, 4))):
        if content:
            content = chance.choice(WAYS)(chance, content)
    # Else nearly all would be refused for a sum that is wrong, and nothing behind it be tried.
    return _with_sums(content) if chance.random() < 0.8 else content


def read(path: Path, alive: Callable[..., None] = lambda *_: None) -> None:
    """Read a file by the reader for its ending; what that raises is raised."""
    ending = path.suffix[1:]
    if ending in CHECKPOINTS:
        from espcn.checkpoint import load_network

        load_network(path)
    elif ending in VIDEOS:
        _read_video(path, alive)
    else:
        _read_picture(path, alive)


def judge(path: Path, alive: Callable[..., None] = lambda *_: None) -> tuple[str, str]:
    """Give the verdict on how a file is read, and the error's words."""
    try:
        read(path, alive)
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        # An error that doesn't name the file isn't ours: NumPy's, say, which is a ValueError too.
        ours = str(path.parent) in words or "the file" in words
        told = isinstance(error, ValueError | OSError) and ours and "\n" not in words
        return (REFUSED if told else FAILED), words
    return READ, ""


class Worker:
    """A process that judges inputs, and is watched: ended and begun anew where it must be."""

    def __init__(self, folder: Path, names: list[str], seed: int) -> None:
        self._given = (folder, names, seed)
        self._start()

    def __call__(self, number: int) -> Outcome:
        """Judge one input."""
        before, started = self._memory(), time.monotonic()
        heard, most = started, 0
        self._line.send(number)

        def outcome(verdict: str, words: str) -> Outcome:
            return Outcome(number, verdict, words, time.monotonic() - started, most)

        while True:
            try:
                while self._line.poll(0.02):
                    most = max(most, self._memory() - before)
                    said = self._line.recv()
                    if said is not None:
                        return outcome(*said)
                    heard = time.monotonic()  # a sign of life
            except EOFError:
                self._process.join()
                code = self._process.exitcode or 0
                self._start()
                name = signal.Signals(-code).name if code < 0 else f"code {code}"
                return outcome(FAILED, f"the process ended by {name}")
            most = max(most, self._memory() - before)
            ill = f"{SECONDS} s" if time.monotonic() - heard > SECONDS else ""
            ill = f"{most / 1e9:.1f} GB" if most > MEMORY else ill
            if ill:
                self.close()
                self._start()
                return outcome(FAILED, f"stopped after {ill}")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._line.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, *self._given), daemon=True)
        self._process.start()
        theirs.close()
        self._line.recv()  # it has imported everything

    def _memory(self) -> int:
        """Give the bytes of memory that the process holds; 0 if it has ended."""
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Judge all inputs; print a table and write it, save what failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=20_000, help="inputs (20000)")
    parser.add_argument("--seed", type=int, default=0, help="which inputs (0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--minutes", type=float, default=np.inf, help="the end, done or not (none)")
    parser.add_argument("--output", type=Path, default="outputs/fuzz", help="failed inputs go here")
    parser.add_argument("--again", type=Path, nargs="+", help="only read these files")
    given = parser.parse_args()
    if given.again:
        for path in given.again:
            print(path, *judge(path), flush=True)
        return
    for name in ("OMP_NUM_THREADS", "VIPS_CONCURRENCY"):
        os.environ[name] = "1"  # of each process
    end = time.monotonic() + 60 * given.minutes
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as made:
        folder, files = Path(made), make_files()
        for name, content in files.items():
            (folder / name).write_bytes(content)
            if judge(folder / name)[0] != (REFUSED if name.startswith("moving") else READ):
                sys.exit(f"Error: {name} is whole, but not read: {judge(folder / name)}")
        names, numbers = list(files), iter(tqdm(range(given.count), mininterval=10))

        def drive(_: int) -> None:
            worker = Worker(folder, names, given.seed)
            while time.monotonic() < end and (number := next(numbers, None)) is not None:
                outcome = worker(number)
                outcomes.append(outcome)
                if outcome.verdict == FAILED:
                    name = names[number % len(names)]
                    given.output.mkdir(parents=True, exist_ok=True)
                    saved = given.output / f"{given.seed}_{number}_{name}"
                    saved.write_bytes(mutated(files[name], given.seed, number))
                    tqdm.write(f"{saved}: {outcome.words[:300]}")
            worker.close()

        with ThreadPoolExecutor(given.jobs) as pool:
            list(pool.map(drive, range(given.jobs)))
    rows = []
    for kind in [*names, "all"]:
        some = [one for one in outcomes if kind in (names[one.number % len(names)], "all")]
        if some:
            verdicts = [one.verdict for one in some]
            counts = {verdict: verdicts.count(verdict) for verdict in (READ, REFUSED, FAILED)}
            slowest, largest = (max(getattr(o, f) for o in some) for f in ("seconds", "memory"))
            rows.append(
                {"kind": kind, "tried": len(some), **counts, "slowest (s)": slowest,
                 "most memory (MB)": largest / 1e6}
            )  # fmt: skip
    print(table(rows, digits=1))
    write_csv(RESULTS / "fuzz.csv", rows, digits=3)
    sys.exit(1 if any(one.verdict == FAILED for one in outcomes) else 0)


def _work(line: Connection, folder: Path, names: list[str], seed: int) -> None:
    """Judge the inputs whose numbers come down the line, and say what became of each."""
    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries in C say much of such files
    files = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        judge(folder / name)  # so that all is imported, and in memory
    with tempfile.TemporaryDirectory() as own:
        line.send(None)
        while True:
            try:
                number = line.recv()
            except EOFError:
                return
            name = names[number % len(names)]
            path = Path(own) / f"input.{name.rpartition('.')[2]}"
            path.write_bytes(mutated(files[name], seed, number))
            verdict = judge(path, lambda *_: line.send(None))
            path.unlink()
            left = [one.name for one in Path(own).iterdir()]
            line.send((FAILED, f"left behind {left}") if left else verdict)


def _read_picture(path: Path, alive: Callable[..., None]) -> None:
    """Read a picture whole and by rows, as read_picture and upscale_photo do."""
    from espcn.pictures import Rows, open_picture, read_picture

    try:
        whole = read_picture(path.read_bytes())
    except (ValueError, OSError):
        whole = None
        alive()
    picture = open_picture(path)  # refused again, or now
    rows, step = Rows(picture, path), max(1, ROWS // picture.width)
    bands = []
    for top in range(0, picture.height, step):
        bands.append(rows(top, min(picture.height, top + step)))
        alive()
    if whole is None or not np.array_equal(np.concatenate(bands), whole):
        raise AssertionError("read whole and by rows are not the same")


def _read_video(path: Path, alive: Callable[..., None]) -> None:
    """Enlarge a video, and take away what that made."""
    from espcn.encoding import Encoding
    from espcn.upscaler import Upscaler
    from espcn.video import upscale_video

    if 2 not in _upscalers:
        _upscalers[2] = Upscaler(2, engine="torch", precision="float32", device="cpu")
    target = path.with_name("large.mkv")
    upscale_video(_upscalers[2], path, target, Encoding(preset="ultrafast"), alive)
    target.unlink()


_upscalers: dict[int, Any] = {}


def _pictures() -> dict[str, bytes]:
    """Make pictures of 48x32 pixels: smooth, so that they are short, with a little noise."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    noise = np.random.default_rng(0).integers(0, 8, (HEIGHT, WIDTH, 3))
    pixels = (np.stack([x * 5, y * 7, x + y], 2) + noise).astype(np.uint8)
    photo = Image.fromarray(pixels)
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A maker", 6
    clear = photo.copy()
    clear.putalpha(128)
    two: dict[str, Any] = {"save_all": True, "append_images": [photo.rotate(180)]}
    whole: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "plain.png": (photo, "PNG", {}),
        "deep.png": (deep, "PNG", {}),
        "palette.png": (photo.quantize(16), "PNG", {"transparency": 3}),
        "clear.png": (clear, "PNG", {"exif": exif, "dpi": (300, 300)}),
        "moving.png": (photo, "PNG", two),
        "plain.jpg": (photo, "JPEG", {}),
        "progressive.jpg": (photo, "JPEG", {"progressive": True}),
        "exif.jpg": (photo, "JPEG", {"exif": exif}),
        "cmyk.jpg": (photo.convert("CMYK"), "JPEG", {}),
        "plain.tif": (photo, "TIFF", {}),
        "deep.tif": (deep, "TIFF", {}),
        "cmyk.tif": (photo.convert("CMYK"), "TIFF", {"compression": "tiff_lzw"}),
        "strips.tif": (photo, "TIFF", {"compression": "tiff_adobe_deflate", "strip_size": 999}),
        "jpeg.tif": (photo, "TIFF", {"compression": "jpeg"}),
        "plain.webp": (photo, "WEBP", {}),
        "lossless.webp": (clear, "WEBP", {"lossless": True}),
        "plain.avif": (photo, "AVIF", {"speed": 10}),
        "plain.gif": (photo.quantize(16), "GIF", {}),
        "moving.gif": (photo, "GIF", two),
        "plain.bmp": (photo, "BMP", {}),
        "palette.bmp": (photo.quantize(16), "BMP", {}),
        "plain.ppm": (photo, "PPM", {}),
        "deep.pgm": (deep, "PPM", {}),
    }
    files = {}
    for name, (picture, kind, options) in whole.items():
        file = io.BytesIO()
        picture.save(file, kind, **options)
        files[name] = file.getvalue()
    # What Pillow doesn't write: Adam7, and a PPM in words.
    words = " ".join(map(str, pixels.ravel()))
    return files | {
        "interlaced.png": pyvips.Image.new_from_array(pixels).pngsave_buffer(interlace=True),
        "words.ppm": f"P3\n# a remark\n{WIDTH} {HEIGHT}\n255\n{words}\n".encode(),
    }


def _clip(ending: str) -> bytes:
    """Make a clip of a few frames with sound, the same each time."""
    codec, sound = {
        "webm": ("libvpx-vp9", "libopus"), "avi": ("mpeg4", "mp3"), "mkv": ("libx264", "flac"),
    }.get(ending, ("libx264", "aac"))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip.{ending}"
        with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
            alone = {"x264-params": "threads=1:lookahead-threads=1"}
            video: Any = container.add_stream(codec, rate=25, options=alone)
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            audio: Any = container.add_stream(sound, rate=48000, layout="mono")
            for number in range(FRAMES):
                frame: Any = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
                for plane in frame.planes:  # to the end of its lines, beyond the picture
                    samples = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
                    y, x = np.indices(samples.shape)
                    samples[:] = 5 * x + 7 * y + 9 * number
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            kind = audio.codec_context.format.name
            silence: Any = av.AudioFrame(kind, "mono", 960)
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            for number in range(12):
                silence.sample_rate, silence.pts = 48000, 960 * number
                container.mux(audio.encode(silence))
            container.mux(audio.encode(None))
        return path.read_bytes()


def _checkpoints() -> dict[str, bytes]:
    """Make a checkpoint as a run leaves it, and take weights as they are shipped."""
    from espcn.model import ESPCN
    from espcn.weights import shipped

    torch.manual_seed(0)
    network = ESPCN(2)
    settings = {
        "r": 2, "channels": 1, "activation": "tanh", "padding": "replicate", "center": 0.45,
        "gain": 5.0, "blur": 0.5, "downsample": "bicubic",
    }  # fmt: skip
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    file = io.BytesIO()
    torch.save({"state_dict": weights, "hyper_parameters": settings}, file)
    return {"run.ckpt": file.getvalue(), "shipped.safetensors": shipped(2).read_bytes()}


def _place(chance: random.Random, content: bytes) -> int:
    """Choose a byte: mostly of the beginning, often of the end, of which the rest hangs."""
    last, where = len(content) - 1, chance.random()
    if where < 0.5:
        return chance.randint(0, min(EDGE, last))
    return chance.randint(max(0, last - EDGE), last) if where < 0.7 else chance.randint(0, last)


def _piece(chance: random.Random, content: bytes) -> tuple[int, int]:
    """Choose a piece of a file, short ones more often: where it begins and ends."""
    begin = _place(chance, content)
    return begin, min(len(content), begin + 2 ** chance.randint(0, 10))


def _change_bytes(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(2 ** chance.randint(0, 5)):
        changed[_place(chance, content)] = chance.randrange(256)
    return bytes(changed)


def _change_bit(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    changed[_place(chance, content)] ^= 2 ** chance.randrange(8)
    return bytes(changed)


def _zero(chance: random.Random, content: bytes) -> bytes:
    begin, end = _piece(chance, content)
    return content[:begin] + bytes(end - begin) + content[end:]


def _cut(chance: random.Random, content: bytes) -> bytes:
    begin, end = _piece(chance, content)
    return content[:begin] + content[end:]


def _repeat(chance: random.Random, content: bytes) -> bytes:
    begin, end = _piece(chance, content)
    return content[:end] + content[begin:end] * chance.choice((1, 1, 7, 99)) + content[end:]


def _swap(chance: random.Random, content: bytes) -> bytes:
    begin, end = _piece(chance, content)
    other = _place(chance, content)
    piece, changed = content[begin:end], bytearray(content)
    changed[begin:end] = content[other : other + len(piece)]
    changed[other : other + len(piece)] = piece
    return bytes(changed)


def _truncate(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randint(0, len(content))]


def _set_number(chance: random.Random, content: bytes) -> bytes:
    """Set a whole number of a header, or what may be one, to an extreme."""
    size = chance.choice((1, 2, 2, 4, 4, 8))
    most = 2 ** (8 * size)
    number = chance.choice((0, 1, most - 1, most - 2, most // 2, most // 2 - 1, 20_000, 100_000))
    begin = _place(chance, content)
    order = chance.choice(("big", "little"))
    written = (number % most).to_bytes(size, order)  # type: ignore[arg-type]
    return content[:begin] + written + content[begin + size :]


def _set_digits(chance: random.Random, content: bytes) -> bytes:
    """Set a number that is written in digits, as in PPM and in the header of safetensors."""
    found = list(re.finditer(rb"\d+", content[:4096]))
    if not found:
        return _set_number(chance, content)
    begin, end = chance.choice(found[:100]).span()
    number = chance.choice((b"0", b"-1", b"255", b"65535", b"99999", b"4294967296", b"9" * 30))
    return content[:begin] + number + content[end:]


WAYS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _change_bytes, _change_bytes, _change_bit, _zero, _cut, _repeat, _swap, _truncate,
    _set_number, _set_number, _set_digits,
)  # fmt: skip


def _with_sums(content: bytes) -> bytes:
    """Give a PNG the check sums of its chunks, as far as there are chunks; another as it is."""
    if not content.startswith(b"\x89PNG"):
        return content
    changed, begin = bytearray(content), 8
    while begin + 12 <= len(content):
        end = begin + 8 + int.from_bytes(content[begin : begin + 4], "big")
        if end + 4 > len(content):
            break
        changed[end : end + 4] = zlib.crc32(content[begin + 4 : end]).to_bytes(4, "big")
        begin = end + 4
    return bytes(changed)


if __name__ == "__main__":
    main()
