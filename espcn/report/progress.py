"""Progress bars, with the time left; in a log file a line now and then."""

import sys
from typing import Any

from tqdm import tqdm

LOGGED_EVERY = 30  # seconds between the lines in a log file


def bar(*arguments: Any, **options: Any) -> Any:
    """Return a progress bar.

    Args:
        *arguments: As tqdm takes them.
        **options: Likewise.

    Returns:
        The bar.
    """
    options["mininterval"] = 0.1 if sys.stderr.isatty() else LOGGED_EVERY
    return tqdm(*arguments, **options)
