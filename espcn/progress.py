"""Progress bars with the remaining time; in a log file, an occasional line."""

import sys
from typing import Any

from tqdm import tqdm

LOGGED_EVERY = 30  # seconds between the lines in a log file


def bar(*arguments: Any, **options: Any) -> Any:
    """Return a progress bar.

    Args:
        *arguments: Arguments of tqdm, except `mininterval`.
        **options: The same.

    Returns:
        The bar.
    """
    options["mininterval"] = 0.1 if sys.stderr.isatty() else LOGGED_EVERY
    return tqdm(*arguments, **options)
