"""One table of all jobs of a sweep, gathered from the files of its runs.

    python -m espcn.runs.gather outputs/multirun/2026-01-31/12-00-00
    python -m espcn.runs.gather outputs/multirun/2026-01-31/12-00-00 results/blur.csv

The second also writes a small table of the swept settings and their figures, for a report. Rows
are sorted by the PSNR on the validation images, never by a test set.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra import initialize_config_dir

from espcn.io.atomic import write_csv, write_text
from espcn.report.jobs import (
    DAMAGED,
    MATCHED,
    REPEATS,
    has_matched,
    is_number,
    mean_rows,
    name_of,
    ordered,
    setting_names,
    swept_settings,
)
from espcn.report.pages.directory import showing, write_pages
from espcn.report.plots import plot_sweep
from espcn.report.tables import table
from espcn.runs.directory import CONFIG, LOCK, read_config, read_result
from espcn.runs.identity import completed, flatten
from espcn.runs.overrides import CONF
from espcn.runs.resolvers import register_resolvers


def gather(directory: Path) -> list[dict[str, Any]]:
    """Write sweep.csv, sweep.md, sweep.html and the plots of a sweep, and print its table.

    Args:
        directory: The sweep's directory.

    Returns:
        A row for each job, the best first: `run`, its folder, and its settings and results named as
        in result.json, test sets as in `psnr.Set5`. A job without a result has the status
        `interrupted`, a job whose settings can't be read `damaged`.
    """
    rows = [_row(path.parent) for path in sorted(directory.glob(f"*/{CONFIG}"))]
    if not rows:
        hint = "it is a run's directory" if (directory / CONFIG).is_file() else "none has begun"
        print(f"{directory} must hold the jobs of a sweep, but {hint}", file=sys.stderr)
        return []
    best_first = sorted(rows, key=lambda row: -(row.get("val_psnr") or float("-inf")))
    swept = swept_settings(rows)
    # All settings stand before the results, also those that only some of the jobs have.
    names = dict.fromkeys(name for row in rows for name in ("run", *setting_names(row)))
    settings_first = [{name: row.get(name) for name in names} | row for row in best_first]
    write_csv(directory / "sweep.csv", settings_first)
    _write_tables(directory, best_first, swept)
    _draw(directory, rows, swept)
    print(f"\nWritten to {directory}: sweep.csv, sweep.md and plots")
    with showing(directory):
        print(f"Report: {write_pages(directory)[-1]}")
    return best_first


def write_small_table(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the swept settings, figures and training times of each job of a sweep.

    Args:
        rows: The rows that `gather` returned.
        path: The CSV file to write.
    """
    swept = swept_settings(rows)
    figures = [n for row in rows for n in row if n.startswith(("psnr.", "psnr_matched."))]
    names = [*swept, "val_psnr", "val_psnr_matched", *figures, "val_loss", "epochs", "train_s"]
    names = list(dict.fromkeys([*names, "val_patches", "threads", "device", "status"]))

    def order(row: dict[str, Any]) -> list[tuple]:
        values = [row.get(name) for name in swept]
        kinds = (str, list)  # after the numbers
        ranks = [1 + kinds.index(type(v)) if isinstance(v, kinds) else 0 for v in values]
        return [
            (rank, v is None, 0 if v is None else v) for rank, v in zip(ranks, values, strict=True)
        ]

    kept = [{name: row.get(name) for name in names} for row in sorted(rows, key=order)]
    write_csv(path, kept, digits=6)


def _row(directory: Path) -> dict[str, Any]:
    try:
        settings = flatten(completed(read_config(directory) or {}))
    except ValueError as error:  # one that is damaged never loses the others
        return {"run": directory.name, "status": DAMAGED, "error": str(error)}
    result = read_result(directory)
    # A result of other settings dates from before a run was resumed with another length.
    if result is None or any(result.get(name, value) != value for name, value in settings.items()):
        stop = "stopped before its end: start the sweep again in its directory"
        result = {"status": "interrupted", "error": stop}
        if _is_at_work(directory):
            result = {"status": "running", "error": None}
    return {"run": directory.name} | settings | flatten(result)


def _is_at_work(directory: Path) -> bool:
    """Return whether a process holds the lock of a run's directory."""
    if not (directory / LOCK).is_file():
        return False
    try:
        with FileLock(directory / LOCK, blocking=False):
            return False
    except Timeout:
        return True
    except (NotImplementedError, OSError):  # no locks here, or not ours to open
        return False


def _write_tables(directory: Path, rows: Sequence[dict[str, Any]], swept: list[str]) -> None:
    sets = [name for row in rows for name in row if name.startswith("psnr.")]
    figures, order = ["val_psnr"], "the best first by the PSNR on the validation images"
    if has_matched(rows):
        figures.append(MATCHED)
        order += ", degraded bicubically; matched: as in each job's training"
    titles = dict.fromkeys([*swept, *figures, *sets])
    short = []
    for row in rows:
        line = {title.removeprefix("psnr."): row.get(title) for title in titles}
        line |= {"epochs": row.get("epochs"), "seconds": row.get("duration_s")}
        line |= {"status": row["status"], "run": row["run"]}
        if row.get("error"):
            error = str(row["error"]).partition("\n")[0]
            line["error"] = error if len(error) <= 90 else error[:87] + "..."
        short.append(line)
    parts = [(f"{len(rows)} jobs, {order}", short)]
    if any(name in REPEATS for name in swept):
        settings = [name for name in swept if name not in REPEATS]
        parts.insert(0, ("Mean over folds and seeds, dB", mean_rows(rows, settings)))
    text = [f"{title}\n\n{table(lines, settings=swept, markdown=True)}\n" for title, lines in parts]
    write_text(directory / "sweep.md", "\n".join(text))
    for title, lines in parts:
        print(f"\n{title}\n\n{table(lines, settings=swept)}")


def _draw(directory: Path, rows: Sequence[dict[str, Any]], swept: list[str]) -> None:
    """Plot the mean PSNR over folds and seeds against each swept number."""
    settings = [name for name in swept if name not in REPEATS]
    means = mean_rows(rows, settings)
    for name in settings:
        shown = [line for line in means if is_number(line[name])]
        left_out = [one for one in ordered(line[name] for line in means) if not is_number(one)]
        if shown:
            title = f"PSNR against {name}"
            if left_out:
                title += f" (not shown: {', '.join(map(name_of, left_out))})"
            others = [other for other in settings if other != name]
            plot_sweep(shown, name, others, directory / f"sweep_{name}.png", title)


def _defaults() -> AbstractContextManager[Any]:
    """Provide the defaults of today's settings, as a sweep does, for those that a job lacks."""
    if not CONF.is_dir():  # installed without the scripts
        return nullcontext()
    register_resolvers()
    return initialize_config_dir(str(CONF), version_base="1.3")


def main() -> None:
    """Rebuild a sweep's table, and optionally a small one; the exit code is not 0 on failure."""
    parser = argparse.ArgumentParser(
        prog="python -m espcn.runs.gather",
        description="Write the table, the plots and the page of a sweep from its runs.",
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="the directory of the sweep")
    parser.add_argument(
        "small", metavar="FILE.csv", type=Path, nargs="?", help="a table of the swept settings too"
    )
    given = parser.parse_args()
    if given.small is not None and not given.small.absolute().parent.is_dir():
        parser.error(
            f"FILE.csv (={given.small}) must be in an existing folder: create "
            f"{given.small.parent} first"
        )
    try:
        with _defaults():
            rows = gather(given.directory)
        if rows and given.small is not None:
            write_small_table(rows, given.small)
    except (ValueError, OSError) as error:
        sys.exit(f"Error: {error}")
    sys.exit(not rows)


if __name__ == "__main__":
    main()
