"""Plots of runs and sweeps, independent of networks.

Each is written as a PNG; no window is opened.
"""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from espcn.io.atomic import atomic_write
from espcn.report.jobs import MATCHED

FEW = 8  # lines that a legend within a plot leaves room for
LEGEND_ROWS = 28


def save_figure(figure: Any, path: Path) -> None:
    """Write a matplotlib figure as PNG, atomically.

    Args:
        figure: The figure.
        path: The file.
    """
    with atomic_write(path) as part:
        figure.savefig(part, dpi=120, format="png")


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    """Return a matplotlib figure and its axes.

    Args:
        width: Inches.
        height: Inches.
        columns: Number of axes side by side.

    Returns:
        The figure, and its axes, an array if there are several.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns)


def plot_losses(
    rows: Sequence[dict[str, Any]], path: Path, title: str, mark_drops: bool = True
) -> None:
    """Plot the losses over the epochs.

    Args:
        rows: Rows as `History` keeps them.
        path: The PNG file.
        title: The plot's title.
        mark_drops: Mark the epochs at which the learning rate dropped.
    """
    figure, axes = new_figure(7, 4.2)
    epochs = [row["epoch"] for row in rows]
    for name, label in (("train_loss", "training"), ("val_loss", "validation")):
        losses = [float("nan") if row[name] is None else row[name] for row in rows]
        values = [loss if math.isfinite(loss) else float("nan") for loss in losses]
        if any(math.isfinite(value) for value in values):
            axes.plot(epochs, values, label=label, linewidth=1.2)
    drops = [
        (after["epoch"], after["lr"])
        for before, after in pairwise(rows)
        if mark_drops and after["lr"] < before["lr"]
    ]
    for epoch, rate in drops:
        axes.axvline(epoch - 0.5, color="grey", linestyle="--", linewidth=0.8)
        axes.annotate(
            f"rate {rate:.0e}",
            (epoch - 0.5, 0.98),
            xycoords=("data", "axes fraction"),
            rotation=90,
            va="top",
            ha="right",
            fontsize=8,
            color="grey",
        )
    scale = "log" if axes.lines else "linear"
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="epoch", ylabel="mean squared error (0..1)", yscale=scale, title=title)
    if axes.lines:
        axes.legend()
    axes.grid(alpha=0.3)
    save_figure(figure, path)


def plot_sweep(
    rows: Sequence[dict[str, Any]], setting: str, others: Sequence[str], path: Path, title: str
) -> None:
    """Plot `val_psnr` against a swept number, with a line for each choice of the other settings.

    Args:
        rows: Settings, `val_psnr` and, for a panel of its own, `val_psnr_matched`, by name.
        setting: The swept number.
        others: The other settings.
        path: The PNG file.
        title: The plot's title.
    """
    measures = {
        "val_psnr": "validation PSNR (dB, luma)",
        MATCHED: "matched validation PSNR (dB, luma)",
    }
    panels = {
        measure: [
            (", ".join(f"{one}={row.get(one)}" for one in others), row[setting], row[name])
            for row in rows if row.get(name) is not None
        ]
        for name, measure in measures.items()
    }  # fmt: skip
    shown = {measure: points for measure, points in panels.items() if points}
    plot_comparison(shown, setting, path, title)


def plot_comparison(
    panels: dict[str, list[tuple[str, Any, float]]],
    setting: str,
    path: Path,
    title: str,
    span: float | None = None,
) -> None:
    """Plot the effect of a setting: a panel for each measure, a line for each series of points.

    All points are shown faintly, with their means; the means are joined if values are numbers.

    Args:
        panels: Points `(series, value, figure)`, one for each fold or seed, by measure (such as
            "validation PSNR (dB)").
        setting: The setting's name, for the axis.
        path: The PNG file.
        title: The plot's title.
        span: Show only figures within this distance of the best.
    """
    names = list(dict.fromkeys(name for points in panels.values() for name, *_ in points))
    many = len(names) > FEW
    lines = -(-len(names) // LEGEND_ROWS) if many else 0  # columns of a legend beside the plot
    figure, axes = new_figure(max(7, 5.2 * len(panels)) + 1.6 * lines, 4.2, len(panels))
    panel_axes = [axes] if len(panels) == 1 else list(axes)
    colors: dict[str, Any] = {name: f"C{index}" for index, name in enumerate(names)}
    if many:
        from matplotlib import colormaps

        shades = colormaps["turbo"].resampled(len(names))
        colors = {name: shades(index) for index, name in enumerate(names)}
    for axis, (measure, points) in zip(panel_axes, panels.items(), strict=True):
        values = list(dict.fromkeys(value for _, value, _ in points))
        numbers = all(isinstance(value, int | float) for value in values)
        place = {v: float(v) if numbers else float(i) for i, v in enumerate(values)}
        for series in dict.fromkeys(name for name, _, _ in points):
            own = [(place[value], psnr) for name, value, psnr in points if name == series]
            at = sorted({x for x, _ in own})
            means = [statistics.mean(psnr for x, psnr in own if x == one) for one in at]
            style = {"color": colors[series], "linestyle": "-" if numbers else "none"}
            axis.scatter(*zip(*own, strict=True), color=style["color"], alpha=0.35, s=14)
            axis.plot(at, means, marker="o", label=series or None, linewidth=1.3, **style)
        if not numbers:
            axis.set_xticks(list(place.values()), [str(value) for value in place])
            axis.set_xlim(-0.5, len(place) - 0.5)
        elif values and min(values) > 0 and max(values) / min(values) >= 8:
            axis.set_xscale("log")
            axis.set_xticks(list(place.values()), [f"{value:g}" for value in place])
            axis.minorticks_off()
        if span is not None:
            best = max(psnr for _, _, psnr in points)
            axis.set_ylim(best - span, best + span / 20)
        axis.set(xlabel=setting, ylabel=measure)
        axis.grid(alpha=0.3)
        if any(names) and not many:
            axis.legend(fontsize=8)
    if many:
        beside = {"loc": "upper left", "bbox_to_anchor": (1.02, 1), "borderaxespad": 0}
        panel_axes[-1].legend(fontsize=6, ncols=lines, **beside)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)
