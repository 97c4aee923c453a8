"""All pages of a directory, by what lies in it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_pages(directory: Path) -> list[Path]:
    """Write report.html, run.html or sweep.html: a page for each thing that a directory holds.

    The jobs of a sweep get theirs too, where they have none yet.

    Args:
        directory: The directory of an evaluation, a run or a sweep, of any age and however it
            ended.

    Returns:
        The files that were written.

    Raises:
        ValueError: The directory holds none of the three, or files that are damaged.
        OSError: A file can't be read or written.
    """
    # Jinja and what reads pictures: only when there is a page to write.
    from jinja2 import UndefinedError

    from espcn.report.pages.evaluation import write_evaluation
    from espcn.report.pages.run import write_run
    from espcn.report.pages.sweep import write_sweep

    makers = (write_evaluation, write_run, write_sweep)
    damage = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, UndefinedError)
    try:
        pages = [page for write in makers if (page := write(directory)) is not None]
    except damage as error:
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(
            f"the files in `DIR` (={directory}) must be as they were written, but one is damaged "
            f"({words}): put back a copy of it, or take it away"
        ) from error
    if not pages:
        raise ValueError(
            f"`DIR` (={directory}) must be the directory of an evaluation, a run or a sweep, which "
            "holds evaluation.json, config.yaml or sweep.csv: gather a sweep that was stopped by "
            "python -m espcn.runs.gather DIR"
        )
    return pages


@contextmanager
def showing(directory: Path) -> Iterator[None]:
    """Make a warning of whatever goes wrong while results are shown: they themselves are safe.

    Args:
        directory: The directory of an evaluation, a run or a sweep.

    Yields:
        Nothing.
    """
    try:
        yield
    except Exception as error:
        words = f"{error}".partition("\n")[0] or type(error).__name__
        print(
            f"Warning: no page was written ({words}). All figures are in place; try again with "
            f"python -m espcn.report {directory}",
            file=sys.stderr,
        )
