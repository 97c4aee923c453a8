"""All pages of a directory, depending on its content."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_pages(directory: Path) -> list[Path]:
    """Write report.html, run.html or sweep.html, depending on what a directory contains.

    Jobs of a sweep without a page get one, too.

    Args:
        directory: The directory of an evaluation, a run or a sweep, from any version and however it
            ended.

    Returns:
        The files that were written.

    Raises:
        ValueError: The directory contains none of the three, or damaged files.
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
            f"({words}): put back a copy of it, or remove it"
        ) from error
    if not pages:
        raise ValueError(
            f"`DIR` (={directory}) must be the directory of an evaluation, a run or a sweep, which "
            "contains evaluation.json, config.yaml or sweep.csv: for a stopped sweep, run "
            "python -m espcn.runs.gather DIR first"
        )
    return pages


@contextmanager
def showing(directory: Path) -> Iterator[None]:
    """Turn any error while results are displayed into a warning: the results themselves are safe.

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
            f"Warning: no page was written ({words}). All results are saved; try again with "
            f"python -m espcn.report {directory}",
            file=sys.stderr,
        )
