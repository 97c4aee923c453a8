"""The command that exports the network: `espcn-export`, or `export.py`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from espcn.export.formats import FORMATS
from espcn.interrupts import STOPPED, interrupts
from espcn.openmp import wait_asleep
from espcn.stdout import accept_all_names


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and export one network; the exit code is 1 if anything went wrong.

    Args:
        arguments: The command-line arguments; `sys.argv[1:]` if not given.
    """
    readers = "".join(f"\n  {ending:14}{one.readers}" for ending, one in FORMATS.items())
    parser = argparse.ArgumentParser(
        prog=Path(sys.argv[0]).name,
        description="Export the network to a file for programs without PyTorch.",
        epilog=f"The ending of FILE chooses the format. These programs read it:{readers}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-r", type=int, metavar="R", help="the factor: 2, 3 or 4 (default: 3, or that of --ckpt)"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the file to write (default: espcn_xR.onnx)"
    )
    parser.add_argument("--ckpt", metavar="FILE", help="your own checkpoint or weights")
    parser.add_argument(
        "--compression",
        type=_compression,
        metavar="QUALITY",
        help="use the weights for JPEGs of this quality, 1 to 100, or, in a .glsl file, for videos "
        "that lose as much; none: the finer weights, for clean sources (default: those of T91, for "
        "clean sources, too)",
    )
    accept_all_names()
    given = parser.parse_args(arguments)
    wait_asleep()
    from espcn.export.export import export  # torch: only when there is work to do

    try:
        with interrupts([]):
            written = export(given.r, given.ckpt, given.output, given.compression)
    except KeyboardInterrupt:
        print("Stopped", file=sys.stderr)
        sys.exit(STOPPED)
    except (ValueError, OSError) as error:
        sys.exit(f"Error: {error}")
    print(f"Written to {written.path} with {written.weights}, {written.check}")


def _compression(text: str) -> int | str:
    try:
        return text if text == "none" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a JPEG's quality, 1 to 100, or none"
        ) from None
