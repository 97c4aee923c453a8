"""The arguments of the command, with help that assumes no knowledge of the field."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from espcn import __version__
from espcn.io.writing import QUALITY
from espcn.upscaling.size import screens

_ABOUT = """
Upscale pictures and videos, with sharper results than an image viewer's zoom. Results are new
files: the originals are never changed. When the command is rerun, finished files are skipped.
"""

_EXAMPLES = """
examples:
  %(prog)s photo.jpg                   photo_x3.jpg next to it, three times as large
  %(prog)s pictures/ -r 2 -o big/      a folder with its subfolders, twice as large
  %(prog)s photo.jpg --preview         look first: photo_preview.png
  %(prog)s *.png clip.mp4              several files; a video with its sound
  %(prog)s photo.jpg --width 3840      3840 pixels wide: photo_3840w.jpg
  %(prog)s clip.mp4 --to 4k            as large as fits in 3840 x 2160: clip_4k.mp4
  %(prog)s photo.jpg -o photo.png      in another format
  %(prog)s pictures/ --format png      a whole folder, as PNG
  %(prog)s - < a.png > b.png           from stdin to stdout
"""


def parser() -> argparse.ArgumentParser:
    """Return the argument parser.

    Returns:
        The parser.
    """
    made = argparse.ArgumentParser(
        prog=Path(sys.argv[0]).name,
        usage="%(prog)s FILE [FILE ...] [options]",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    made.add_argument_group("files").add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="pictures, videos and folders; - reads a picture from stdin",
    )
    _add_sizes(made.add_argument_group("size (choose one)").add_mutually_exclusive_group())
    _add_results(made.add_argument_group("results").add_argument)
    _add_videos(made.add_argument_group("videos").add_argument)
    _add_machinery(made.add_argument_group("for experts").add_argument)
    others = made.add_argument_group("other")
    others.add_argument("-h", "--help", action="help", help="show this text")
    version = f"%(prog)s {__version__}"
    others.add_argument("--version", action="version", version=version, help="show the version")
    return made


def _add_sizes(group: Any) -> None:
    add = group.add_argument
    add(
        "-r",
        type=_factor,
        metavar="R",
        help="2, 3 or 4 times as large (default: 3, or the factor of --ckpt)",
    )
    add("--scale", type=float, metavar="F", help="F times as large, such as 1.5; at most 16")
    add("--width", type=int, metavar="N", help="N pixels wide; the aspect ratio is kept")
    add("--height", type=int, metavar="N", help="N pixels high; the aspect ratio is kept")
    add(
        "--to",
        type=str.lower,
        metavar="NAME",
        help=f"as large as fits on a screen: {screens()}",
    )


def _add_results(add: Callable[..., Any]) -> None:
    add(
        "-o",
        "--output",
        metavar="PATH",
        help="the folder for results or, for a single file, the result's name; - for stdout",
    )
    add(
        "--format",
        metavar="KIND",
        help="the format of the results: png, jpg, tif, webp, avif or bmp; for videos mp4, mkv, "
        "webm and others",
    )
    add(
        "--preview",
        action="store_true",
        help="only write photo_preview.png, a small picture of the most detailed region, upscaled "
        "bicubically and by the network",
    )
    add(
        "--suffix",
        metavar="TEXT",
        help="the suffix of the results' names, instead of _x3 and the like",
    )
    add("--overwrite", action="store_true", help="replace existing results")
    add(
        "--quality",
        type=int,
        default=QUALITY,
        metavar="N",
        help="quality of JPEG, WebP and AVIF, 1 to 100: higher gives better and larger files "
        f"(default: {QUALITY})",
    )
    add(
        "--compression",
        default="auto",
        metavar="HOW",
        help="how strongly the files are compressed: auto (detect per file), none, or a JPEG "
        "quality from 1 to 100 (default: auto)",
    )
    add(
        "--ensemble",
        action="store_true",
        help="average over eight flips and rotations: slightly better, up to eight times as slow",
    )


def _add_videos(add: Callable[..., Any]) -> None:
    add(
        "--codec",
        metavar="NAME",
        help="the encoder: libx264 (H.264, which plays everywhere), libx265 (H.265), "
        "libsvtav1 (AV1) or libvpx-vp9 (VP9) (default: libx264, in WebM libvpx-vp9, "
        "or libsvtav1 for 10 bits)",
    )
    add(
        "--crf",
        type=float,
        default=18,
        metavar="N",
        help="quality, 0 to 51 (VP9 and AV1: to 63): lower is better and larger (default: 18)",
    )
    add(
        "--preset",
        metavar="NAME",
        help="encoder speed, from ultrafast to veryslow; slower gives smaller files. A number for "
        "libsvtav1 and libvpx-vp9 (default: veryfast)",
    )


def _add_machinery(add: Callable[..., Any]) -> None:
    add(
        "--ckpt",
        metavar="FILE",
        help="your own network: the folder of a run of train.py, a checkpoint, or weights",
    )
    add(
        "--shard",
        type=_shard,
        default=(0, 1),
        metavar="I/N",
        help="divide the files among N computers; this is number I, counted from 0",
    )
    add(
        "--engine",
        default="auto",
        metavar="NAME",
        help="what runs the network: torch, compile, onnx or openvino (default: the fastest)",
    )
    add(
        "--precision",
        default="auto",
        metavar="NAME",
        help="float32 or bfloat16 (default: the faster one on this CPU), or int8 with OpenVINO, "
        "which is faster still on CPUs without AMX, and loses 0.01 to 0.06 dB",
    )
    add(
        "--device",
        default="auto",
        metavar="NAME",
        help="cpu or cuda (default: a GPU if there is one)",
    )


def _factor(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a whole number: --scale takes others, such as 1.5"
        ) from None


def _shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if number.isdecimal() and count.isdecimal() and int(number) < int(count):
        return int(number), int(count)
    raise argparse.ArgumentTypeError(f"{text!r} must be I/N, with I from 0 to N - 1, like 0/4")
