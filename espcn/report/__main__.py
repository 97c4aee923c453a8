"""The command that regenerates the pages of a directory: `python -m espcn.report DIR`."""

import argparse
import sys
from pathlib import Path

from espcn.report.pages.directory import write_pages


def main() -> None:
    """Write the pages of each directory; the exit code is 1 if one of them has none."""
    parser = argparse.ArgumentParser(
        prog="python -m espcn.report",
        description="Write the page of an evaluation (report.html), a run (run.html) or a sweep "
        "(sweep.html) from the files that are there.",
    )
    parser.add_argument("directories", nargs="+", metavar="DIR", type=Path, help="where they are")
    failed = False
    for directory in parser.parse_args().directories:
        try:
            print(f"Written: {', '.join(map(str, write_pages(directory)))}")
        except (ValueError, OSError) as error:
            print(f"Error: {error}", file=sys.stderr)
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
