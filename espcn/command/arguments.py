"""The arguments of the command, and its help in words that need no knowledge of the field."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from espcn import __version__
from espcn.io.writing import QUALITY
from espcn.upscaling.size import screens

_ABOUT = """
Make pictures and videos larger, and sharper than a viewer's zoom. Results are new files: the
originals are never changed. What has been done already is skipped when the command is run again.
"""

_EXAMPLES = """
examples:
  %(prog)s photo.jpg                   photo_x3.jpg beside it, three times as large
  %(prog)s pictures/ -r 2 -o big/      a folder with its subfolders, twice as large
  %(prog)s photo.jpg --preview         look first: photo_preview.png
  %(prog)s *.png clip.mp4              several files; a video with its sound
  %(prog)s photo.jpg --width 3840      3840 pixels wide: photo_3840w.jpg
  %(prog)s clip.mp4 --to 4k            as large as fits in 3840 x 2160: clip_4k.mp4
  %(prog)s photo.jpg -o photo.png      saved as another kind of file
  %(prog)s pictures/ --format png      all of a folder saved as PNG
  %(prog)s - < a.png > b.png           from stdin to stdout
"""


def parser() -> argparse.ArgumentParser:
    """Return what reads the command's arguments.

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
        help="pictures, videos and folders of them; - for a picture from stdin",
    )
    _add_sizes(made.add_argument_group("how large (one of these)").add_mutually_exclusive_group())
    _add_results(made.add_argument_group("results").add_argument)
    _add_videos(made.add_argument_group("videos").add_argument)
    _add_machinery(made.add_argument_group("for experts").add_argument)
    others = made.add_argument_group("others")
    others.add_argument("-h", "--help", action="help", help="show this text")
    version = f"%(prog)s {__version__}"
    others.add_argument("--version", action="version", version=version, help="show the version")
    return made


def _add_sizes(group: Any) -> None:
    add = group.add_argument
    add(
        "-r",
        type=int,
        metavar="R",
        help="2, 3 or 4 times as large (default: 3, or what --ckpt makes)",
    )
    add("--scale", type=float, metavar="F", help="F times as large, up to 16, such as 1.5")
    add("--width", type=int, metavar="N", help="N pixels wide; the height follows")
    add("--height", type=int, metavar="N", help="N pixels high; the width follows")
    add(
        "--to",
        type=str.lower,
        metavar="NAME",
        help=f"as large as fits on a screen, with its shape kept: {screens()}",
    )


def _add_results(add: Callable[..., Any]) -> None:
    add(
        "-o",
        "--output",
        metavar="PATH",
        help="the folder for results or, of a single file, the result's name; - for stdout",
    )
    add(
        "--format",
        metavar="KIND",
        help="save as another kind of file: png, jpg, tif, webp, avif or bmp; videos as mp4, mkv, "
        "webm and others",
    )
    add(
        "--preview",
        action="store_true",
        help="only make a small picture that shows the part with the most detail as it would "
        "become, beside an ordinary enlargement: photo_preview.png",
    )
    add(
        "--suffix",
        metavar="TEXT",
        help="what the names of results end in, instead of _x3 and the like",
    )
    add("--overwrite", action="store_true", help="replace results that exist already")
    add(
        "--quality",
        type=int,
        default=QUALITY,
        metavar="N",
        help="quality of JPEG, WebP and AVIF, 1 to 100: higher is better, in larger files "
        f"(default: {QUALITY})",
    )
    add(
        "--compression",
        default="auto",
        metavar="HOW",
        help="how badly the files were compressed before, as JPEG or video, for which the network "
        "makes up in part: auto, none, or 1 to 100 as if they were JPEGs of that quality (default: "
        "auto, which finds out for each file)",
    )
    add(
        "--ensemble",
        action="store_true",
        help="take the mean over eight flips and turns: slightly better, eight times as long",
    )


def _add_videos(add: Callable[..., Any]) -> None:
    add(
        "--codec",
        metavar="NAME",
        help="how they are compressed: libx264 (H.264, which plays everywhere), libx265 (H.265), "
        "libsvtav1 (AV1) or libvpx-vp9 (VP9) (default: libx264, in WebM libvpx-vp9, "
        "or libsvtav1 for 10 bits)",
    )
    add(
        "--crf",
        type=float,
        default=18,
        metavar="N",
        help="quality, 0 to 51: lower is better, in larger files (default: 18)",
    )
    add(
        "--preset",
        metavar="NAME",
        help="how long the encoder works at smaller files, from ultrafast to veryslow, or a number "
        "for libsvtav1 and libvpx-vp9 (default: veryfast)",
    )


def _add_machinery(add: Callable[..., Any]) -> None:
    add(
        "--ckpt",
        metavar="FILE",
        help="a network of your own: the folder of a run of train.py, a checkpoint, or weights",
    )
    add(
        "--shard",
        type=_shard,
        default=(0, 1),
        metavar="I/N",
        help="share the files among N computers, of which this is number I, counted from 0",
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
        help="float32, or bfloat16, which is faster on some processors (default: what is faster), "
        "or int8, by OpenVINO: faster still without AMX, for 0.01 to 0.06 dB",
    )
    add(
        "--device",
        default="auto",
        metavar="NAME",
        help="cpu or cuda (default: a GPU if there is one)",
    )


def _shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if number.isdecimal() and count.isdecimal() and int(number) < int(count):
        return int(number), int(count)
    raise argparse.ArgumentTypeError(f"{text!r} must be I/N, with I from 0 to N - 1, like 0/4")
