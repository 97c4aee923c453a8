"""stdin and stdout in place of files: `-`.

The data goes through temporary files, so that it is processed like other files and memory stays
bounded. Messages go to stderr if the result goes to stdout, and refer to stdin and stdout by name.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from espcn.io.signatures import picture_suffix

STREAM = "-"


@contextmanager
def piped(given: argparse.Namespace) -> Iterator[argparse.Namespace]:
    """Provide files in place of stdin and stdout, and write the result to stdout at the end.

    Args:
        given: The parsed arguments. The file may be `-`, and then the output is `-`, too, unless it
            is given; or only the output may be `-`.

    Yields:
        Arguments that name files only.

    Raises:
        ValueError: There are other files as well, stdin is not a picture, or stdout is a terminal.
        OSError: The reader of stdout has closed it.
    """
    reads = STREAM in given.files
    writes = given.output == STREAM or (reads and given.output is None)
    if not reads and not writes:
        yield given
        return
    several = len(given.files) > 1 or Path(given.files[0]).is_dir()
    if several and not reads:
        raise ValueError("`-o -` takes the result of a single file: name a folder with -o")
    if several:
        raise ValueError("`-` must be the only file: give folders and several files by name")
    if writes and sys.stdout is None:
        raise ValueError("stdout must be open: name a file with -o")
    if writes and sys.stdout.isatty():
        raise ValueError(
            "stdout must not be a terminal, which can't show the result: add `> photo.png`, or "
            "name a file with -o"
        )
    real, stdout = argparse.Namespace(**vars(given)), sys.stdout
    with tempfile.TemporaryDirectory(prefix="espcn-") as name, ExitStack() as stack:
        results, names = Path(name) / "results", {}
        if reads:
            source = _kept_stdin(Path(name))
            real.files, names[re.escape(str(source))] = [str(source)], "stdin"
        if writes:
            real.output, real.suffix = f"{results}{os.sep}", ""
            names[re.escape(str(results / Path(real.files[0]).stem)) + r"\.\w+"] = "stdout"
        messages = _Naming(sys.stderr, names)
        stack.enter_context(redirect_stderr(messages))
        stack.enter_context(redirect_stdout(messages if writes else _Naming(stdout, names)))
        yield real
        for result in results.iterdir() if results.is_dir() else ():
            if result.is_file():  # and not the folder of records
                _write_stdout(stdout, result)


def _kept_stdin(folder: Path) -> Path:
    """Write the content of stdin to a file with the suffix of its format."""
    kept = folder / "stdin"
    if sys.stdin is None or sys.stdin.isatty():
        raise ValueError("stdin must be a picture: pipe one into this command, or name a file")
    with kept.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    if not kept.stat().st_size:
        raise ValueError("stdin must be a picture, but is empty")
    suffix = picture_suffix(kept)
    if suffix is None:
        raise ValueError(
            "stdin must be a picture (PNG, JPEG, TIFF, WebP, AVIF, HEIC, GIF, BMP or PPM): a video "
            "must be a file"
        )
    return kept.rename(kept.with_suffix(suffix))


def _write_stdout(stdout: Any, result: Path) -> None:
    try:
        with result.open("rb") as file:
            shutil.copyfileobj(file, stdout.buffer)
        stdout.buffer.flush()
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())  # Python flushes it at its end
        raise OSError("stdout was closed before all of the result was written") from error


class _Naming:
    """A text stream that replaces the names of temporary files.

    Args:
        stream: The stream to write to.
        names: Replacements by regular expression.
    """

    def __init__(self, stream: Any, names: dict[str, str]) -> None:
        self._stream, self._names = stream, names

    def write(self, text: str) -> int:
        for path, name in self._names.items():
            text = re.sub(path, name, text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
