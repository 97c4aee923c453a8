"""How much memory and time a picture of 100 megapixels takes: upscale.py as a user runs it.

    python benchmarks/memory.py

The picture is a photograph from scikit-image, repeated. Prints the largest resident size of the
whole process, PyTorch and all.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyvips
import skimage.data

SCRIPT = Path(__file__).resolve().parent.parent / "upscale.py"


def main() -> None:
    """Make the picture, upscale it in a process of its own, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=10_000, help="pixels a side (10000)")
    parser.add_argument("--ending", default="png", help="the format (png)")
    given = parser.parse_args()
    side, ending = given.side, given.ending
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"large.{ending}"
        photo = np.tile(skimage.data.astronaut(), (-(-side // 512), -(-side // 512), 1))
        pyvips.Image.new_from_array(photo[:side, :side]).write_to_file(str(source))
        started = time.perf_counter()
        subprocess.run([sys.executable, str(SCRIPT), "-r", "3", str(source)], check=True)
        seconds = time.perf_counter() - started
        made = source.with_stem("large_x3").stat().st_size
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    print(f"{side} x {side} pixels, 3 times as large, {made / 1e6:.0f} MB of {ending}:")
    print(f"{peak:.0f} MB of memory at most, {seconds:.0f} s")


if __name__ == "__main__":
    main()
