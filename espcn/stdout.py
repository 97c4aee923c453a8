"""What is printed to stdout, whatever names it is about."""

import io
import sys


def accept_all_names() -> None:
    """Let stdout print the name of any file.

    A name need not be UTF-8, and its bytes are printed as they are; and where stdout is no UTF-8,
    as in a file on Windows, what it lacks is printed as escapes.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
