"""The page of a sweep, sweep.html: its table, a chart of each setting, and all of them together."""

import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espcn.report.jobs import (
    DAMAGED,
    DATA,
    REPEATS,
    is_number,
    mean_rows,
    name_of,
    ordered,
    setting_names,
    swept_settings,
)
from espcn.report.pages import run
from espcn.report.pages.axes import Axis, axis, horizontal, vertical
from espcn.report.pages.charts import Chart, Line, Point
from espcn.report.pages.rendering import address, write_page
from espcn.report.pages.stored import read_rows
from espcn.report.plots import FEW

PAGE, ROWS = "sweep.html", "sweep.csv"
MEASURE, TITLE = "val_psnr", "validation PSNR (dB)"
CHOICES = 24  # values of a setting that are offered one by one; of more, a range of numbers
SPACE, TALL = 128, 300  # pixels between parallel axes, and their height
BUNDLE = 18  # pixels in which lines of the same value lie
SHADES = 5  # parts of the ranking that differ in colour


@dataclass(frozen=True)
class Parallel:
    """All swept settings side by side.

    Attributes:
        axes: An axis for each setting, and a last one for the measure; pixels down.
        lines: A line for each job: pixels across and down, and its quintile in the ranking, from 0.
        width: The drawing's width.
        height: Its height.
        shades: The number of parts of the ranking that differ in colour.
    """

    axes: Sequence[tuple[float, Axis]]
    lines: Sequence[Line]
    width: int
    height: int
    shades: int = SHADES


def write_sweep(directory: Path) -> Path | None:
    """Write sweep.html next to the files of a sweep, and pages for jobs that have none.

    Args:
        directory: The sweep's directory.

    Returns:
        The page; None if there is no sweep.csv.

    Raises:
        OSError: A file can't be read or written.
    """
    rows = read_rows(directory / ROWS)
    if not rows or "status" not in rows[0]:
        return None
    for row in rows:
        _complete(directory / row["run"])
    swept = swept_settings(rows)
    compared = [name for name in swept if name not in REPEATS]
    judged = list(_judged(rows).values())
    plotted = [name for name in swept if name not in DATA and _differs(judged, name)]
    figures = _figures(rows)
    settings = [name for name in swept if name not in DATA]
    statuses = [row["status"] for row in rows]
    known = next((row for row in rows if row["status"] != DAMAGED), rows[0])
    return write_page(
        directory / PAGE,
        "sweep.html",
        ["tables", "sweep"],
        title=f"Sweep over {', '.join(settings)}" if settings else "Sweep",
        rows=rows,
        swept=swept,
        figures=figures,
        judged=bool(judged),
        columns={name: place for place, name in enumerate(swept, start=1)}
        | {"status": len(swept) + len(figures) + 3},
        filters={name: choices(rows, name) for name in [*swept, "status"]},
        means=mean_rows(rows, compared) if set(swept) & set(REPEATS) else [],
        mean_settings=compared,
        charts_of_settings=[
            setting_chart(rows, name, plotted) for name in plotted if name not in REPEATS
        ],
        parallel=parallel_axes(rows, settings) if len(settings) > 2 and judged else None,
        statuses={status: statuses.count(status) for status in dict.fromkeys(statuses)},
        constant={
            name: known.get(name) for name in setting_names(known) if name not in swept
        },
        pages={row["run"]: address(Path(row["run"]) / run.PAGE) for row in rows
               if (directory / row["run"] / run.PAGE).is_file()},
        files=[path.name for path in sorted(directory.glob("sweep*")) if path.name != PAGE],
    )  # fmt: skip


def choices(rows: Sequence[dict[str, Any]], name: str) -> list[Any] | None:
    """Return the values of a column, for a filter to choose from.

    Args:
        rows: Rows of sweep.csv.
        name: The column.

    Returns:
        Its values in order; None if there are too many numbers to choose from.
    """
    values = ordered(row.get(name) for row in rows)
    return None if len(values) > CHOICES and all(map(is_number, values)) else values


def setting_chart(rows: Sequence[dict[str, Any]], name: str, settings: Sequence[str]) -> Chart:
    """Return a chart of the measure against one setting: all jobs, and means over folds and seeds.

    Means are joined if the values are numbers and the other settings are the same; each combination
    of the others has its own colour, if there are few.

    Args:
        rows: Rows of sweep.csv.
        name: The setting.
        settings: All settings whose values differ.

    Returns:
        The chart; jobs far below the best are drawn at its lower edge.
    """
    judged = _judged(rows)
    others = [other for other in settings if other not in (name, *REPEATS)]
    means = mean_rows(list(judged.values()), [name, *others])
    least = usual_least([row[MEASURE] for row in judged.values()])
    x = horizontal(name, [row.get(name) for row in means], few=True)
    y = vertical(TITLE, [row[MEASURE] for row in judged.values() if row[MEASURE] >= least], False)
    series = list(dict.fromkeys(_words(row, others) for row in means))
    few = len(series) <= FEW
    colors = {one: index if few else None for index, one in enumerate(series)}
    points = [
        Point(
            x.place(row.get(name)),
            y.place(row[MEASURE]),
            _label(row, settings),
            colors[_words(row, others)],
            job,
            outside=row[MEASURE] < least,
        )
        for job, row in judged.items()
    ]
    lines = []
    for one in series:
        own = sorted((row for row in means if _words(row, others) == one),
                     key=lambda row: x.place(row[name]))  # fmt: skip
        places = [(x.place(row[name]), y.place(row[MEASURE])) for row in own]
        joined = len(places) > 1 and not x.names  # else the line is no more than its legend
        jobs = tuple(job for job, row in judged.items() if _words(row, others) == one)
        lines.append(Line(one, places if joined else (), colors[one], jobs))
    below = sum(point.outside for point in points)
    notes = [f"{below} of {len(points)} jobs are below the chart and shown on its lower edge"]
    return Chart(f"Validation PSNR against {name}", x, y, lines, points, notes=notes[: below > 0])


def parallel_axes(rows: Sequence[dict[str, Any]], swept: Sequence[str]) -> Parallel:
    """Return all swept settings and the measure as parallel axes, with a line for each job.

    Args:
        rows: Rows of sweep.csv; those without the measure are left out.
        swept: The swept settings.

    Returns:
        The axes and the lines; the best job's comes last, on top of the others.
    """
    judged = sorted(_judged(rows).items(), key=lambda one: one[1][MEASURE])
    top, bottom = 44, 44 + TALL
    figures = [row[MEASURE] for _, row in judged]
    least = usual_least(figures)
    axes = [axis(name, [row.get(name) for _, row in judged], bottom, top, few=True)
            for name in swept]  # fmt: skip
    axes.append(axis(MEASURE, [one for one in figures if one >= least], bottom, top, log=False))
    placed = [(SPACE * (index + 0.6), one) for index, one in enumerate(axes)]
    lines = []
    for place, (job, row) in enumerate(judged):
        # Lines that meet at a value lie side by side, the best above.
        aside = BUNDLE * (0.5 - place / max(1, len(judged) - 1))
        points = [
            (at, one.place(row.get(one.title)) + (aside if one.names or one.marks else 0))
            for at, one in placed
        ]
        lines.append(Line(_label(row, swept), points, place * SHADES // len(judged), (job,)))
    return Parallel(placed, lines, SPACE * len(axes), bottom + 16)


def usual_least(values: Sequence[float]) -> float:
    """Return where an axis may start, so that a failed job does not flatten all others.

    Args:
        values: The measure of each job.

    Returns:
        The smallest value whose distance from the best is at most ten times that of the median.
    """
    best, median = max(values), statistics.median(values)
    edge = best - 10 * max(best - median, 0.05)
    return min(value for value in values if value >= edge)


def _figures(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the figures of a table and their titles, including matched ones that differ."""
    sets = [n for n in dict.fromkeys(n for row in rows for n in row) if n.startswith("psnr.")]
    titles = {MEASURE: "validation"} | {name: name.removeprefix("psnr.") for name in sets}
    matched = {
        MEASURE: "val_psnr_matched",
        **{name: name.replace("psnr.", "psnr_matched.", 1) for name in sets},
    }
    if any(row.get(own) != row.get(name) for row in rows for name, own in matched.items()
           if row.get(own) is not None):  # fmt: skip
        titles |= {own: f"{titles[name]}, matched" for name, own in matched.items()}
    return titles


def _differs(rows: Sequence[dict[str, Any]], name: str) -> bool:
    return len({name_of(row.get(name)) for row in rows}) > 1


def _judged(rows: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return the rows that have the measure, by number."""
    known = {job: row for job, row in enumerate(rows) if is_number(row.get(MEASURE))}
    return {job: row for job, row in known.items() if math.isfinite(row[MEASURE])}


def _label(row: dict[str, Any], settings: Sequence[str]) -> str:
    return f"{_words(row, settings)}: {row[MEASURE]:.2f} dB".removeprefix(": ")


def _words(row: dict[str, Any], settings: Sequence[str]) -> str:
    return " ".join(f"{name}={name_of(row.get(name))}" for name in settings)


def _complete(job: Path) -> None:
    """Write the page of a job that lacks one; a page that can't be written is left out."""
    page, result = job / run.PAGE, job / run.RESULT
    if page.is_file() and not (
        result.is_file() and result.stat().st_mtime_ns > page.stat().st_mtime_ns
    ):
        return
    try:
        run.write_run(job)
    except (OSError, ValueError) as error:
        print(f"Warning: {job.name} has no page ({error})", file=sys.stderr)
