"""Progress bars with the remaining time; in a log file, an occasional line."""

import sys
from typing import Any

from tqdm import tqdm

LOGGED_EVERY = 30  # seconds between the lines in a log file


class _Lines:
    """Writes what a bar draws to stderr, each state on a line of its own."""

    encoding = property(lambda self: sys.stderr.encoding)

    def write(self, text: str) -> None:
        if state := text.strip():
            sys.stderr.write(f"{state}\n")

    def flush(self) -> None:
        sys.stderr.flush()


def bar(*arguments: Any, **options: Any) -> Any:
    """Return a progress bar.

    Args:
        *arguments: Arguments of tqdm, except `file`.
        **options: The same. In a log file `mininterval` and `position` count for nothing.

    Returns:
        The bar.
    """
    if not sys.stderr.isatty():  # nor can a bar move up there, to its place below others
        if sys.stdout is not None:
            sys.stdout.flush()  # as tqdm does for stderr, so that what was printed comes first
        options |= {"mininterval": LOGGED_EVERY, "file": _Lines(), "position": 0}
    return tqdm(*arguments, **options)
