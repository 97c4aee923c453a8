"""Write the digests by which copies of the known image sets are recognised.

python benchmarks/digests.py
python benchmarks/digests.py Set5 Set14

Reads the sets, as their registered files, from the folder that `ESPCN_DATA` names, and writes
espcn/data/checksums/NAME.pixels.txt for each that is there.
"""

import argparse
from pathlib import Path

from espcn.data.datasets import Unavailable, load_set
from espcn.data.registry import CROPS, SETS, pixel_digest
from espcn.io.atomic import write_text

CHECKSUMS = Path(__file__).parents[1] / "espcn" / "data" / "checksums"


def main() -> None:
    """Write a file for each set that is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sets", metavar="SET", nargs="*", help=f"by default all of {', '.join(SETS)}"
    )
    given = parser.parse_args()
    unknown = [name for name in given.sets if name not in SETS]
    if unknown:
        parser.error(f"SET (={unknown[0]}) must be one of {', '.join(SETS)}")
    for name in given.sets or SETS:
        try:
            images = load_set(name, download=False)
        except Unavailable as error:
            print(f"Left out: {error}")
            continue
        lines = []
        for image, pixels in zip(images.names, images.images, strict=True):
            height, width, _ = pixels.shape
            cropped = (pixels[: height // m * m, : width // m * m] for m in CROPS)
            lines.append("  ".join([image, *map(pixel_digest, cropped)]))
        write_text(CHECKSUMS / f"{name}.pixels.txt", "\n".join(lines) + "\n")
        print(f"{name}: {len(lines)} images")


if __name__ == "__main__":
    main()
