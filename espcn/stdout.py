"""What commands print: any file name, and warnings in a line."""

import io
import sys
import warnings


def accept_all_names() -> None:
    """Let stdout print the name of any file.

    A name need not be UTF-8; its bytes are printed unchanged. If stdout is not UTF-8, such as a
    file on Windows, unsupported characters are printed as escapes.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")


def shorten_warnings() -> None:
    """Print each warning as one line, without the line of code that gave it."""
    warnings.formatwarning = lambda message, *_, **__: f"Warning: {message}\n"
