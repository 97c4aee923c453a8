"""Printing to stdout with any file name."""

import io
import sys


def accept_all_names() -> None:
    """Let stdout print the name of any file.

    A name need not be UTF-8; its bytes are printed unchanged. If stdout is not UTF-8, such as a
    file on Windows, unsupported characters are printed as escapes.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
