"""Plots: know numbers, not networks. Each is written as a PNG, and nothing opens on a screen."""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from espcn.files import whole_file


def save_figure(figure: Any, path: Path) -> None:
    """Write a matplotlib figure as PNG and let go of it."""
    with whole_file(path) as part:
        figure.savefig(part, dpi=120, bbox_inches="tight", format="png")


def new_figure(width: float, height: float) -> tuple[Any, Any]:
    """Give a matplotlib figure of so many inches, and its axes; nothing opens on a screen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def plot_losses(
    rows: Sequence[dict[str, Any]], path: Path, title: str, mark_drops: bool = True
) -> None:
    """Draw the losses over the epochs, rows as `History`'s, with a line where the rate dropped."""
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
    rows: Sequence[dict[str, Any]], setting: str, others: Sequence[str], path: Path
) -> None:
    """Draw `val_psnr` against a swept number, a line per choice of the others."""
    figure, axes = new_figure(7, 4.2)
    lines: dict[tuple, list[tuple[float, float]]] = {}
    for row in rows:
        key = tuple((name, row.get(name)) for name in others)
        lines.setdefault(key, []).append((row[setting], row["val_psnr"]))
    for key, points in lines.items():
        label = ", ".join(f"{name}={value}" for name, value in key)
        axes.plot(*zip(*sorted(points), strict=True), marker="o", label=label or None)
    values = [row[setting] for row in rows] or [0]
    if min(values) > 0 and max(values) / min(values) >= 9:
        axes.set_xscale("log")
    axes.set(xlabel=setting, ylabel="validation PSNR (dB, luma)", title=f"PSNR against {setting}")
    if others and lines:
        axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    save_figure(figure, path)


def plot_comparison(
    panels: dict[str, list[tuple[str, Any, float]]], setting: str, path: Path, title: str
) -> None:
    """Draw what a setting does: a panel for each measure, a line for each series of points.

    `panels` maps a measure ("validation PSNR (dB)") to its points `(series, value, figure)`, one
    for each fold or seed. Shown are all of them, faintly, and their means, joined where the values
    are numbers.
    """
    figure, _ = new_figure(5.2 * len(panels), 3.8)
    figure.clear()
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (measure, points) in zip(axes, panels.items(), strict=True):
        values = list(dict.fromkeys(value for _, value, _ in points))
        numbers = all(isinstance(value, int | float) for value in values)
        place = {v: float(v) if numbers else float(i) for i, v in enumerate(values)}
        for index, series in enumerate(dict.fromkeys(name for name, _, _ in points)):
            own = [(place[value], figure) for name, value, figure in points if name == series]
            at = sorted({x for x, _ in own})
            means = [statistics.mean(y for x, y in own if x == one) for one in at]
            color = f"C{index}"
            axis.scatter(*zip(*own, strict=True), color=color, alpha=0.35, s=14, linewidths=0)
            joined = {"linewidth": 1.3} if numbers else {"linestyle": "none"}
            axis.plot(at, means, marker="o", color=color, label=series or None, **joined)
        if not numbers:
            axis.set_xticks(list(place.values()), [str(value) for value in place])
            axis.set_xlim(-0.5, len(place) - 0.5)
        elif min(place.values()) > 0 and max(place.values()) / min(place.values()) >= 8:
            axis.set_xscale("log")
            axis.set_xticks(list(place.values()), [f"{value:g}" for value in place])
            axis.minorticks_off()
        axis.set(xlabel=setting, ylabel=measure)
        axis.grid(alpha=0.3)
        if any(name for name, _, _ in points):
            axis.legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def plot_times(
    curves: dict[str, list[tuple[float, float]]], marks: dict[str, float], path: Path, title: str
) -> None:
    """Draw PSNR against seconds of training, a curve for each way, a dashed line for each mark."""
    figure, axes = new_figure(7, 4.2)
    for label, points in curves.items():
        axes.plot(*zip(*points, strict=True), label=label, marker=".", linewidth=1.2)
    for label, psnr in marks.items():
        axes.axhline(psnr, color="grey", linestyle="--", linewidth=0.8)
        axes.annotate(label, (1, psnr), xycoords=("axes fraction", "data"), va="bottom",
                      ha="right", fontsize=8, color="grey")  # fmt: skip
    axes.set(xlabel="seconds of training", ylabel="PSNR (dB, luma)", xscale="log", title=title)
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
             if t < 1.5 * max(x for points in curves.values() for x, _ in points)]  # fmt: skip
    low = min(x for points in curves.values() for x, _ in points)
    ticks = [t for t in ticks if t > low / 1.5]
    axes.set_xticks(ticks, [f"{t}" for t in ticks])
    axes.minorticks_off()
    axes.legend(loc="lower right", fontsize=8)
    axes.grid(alpha=0.3)
    save_figure(figure, path)


def plot_waterfall(
    steps: Sequence[tuple[str, float]], marks: dict[str, float], path: Path, title: str
) -> None:
    """Draw how a figure grows from change to change, the first bar from below, with marks."""
    figure, axes = new_figure(8, 0.42 * len(steps) + 1.4)
    figures = [value for _, value in steps]
    floor = min(figures) - 0.6
    for index, (value, before) in enumerate(zip(figures, [floor, *figures], strict=False)):
        color = "C0" if index == 0 else "C2" if value >= before else "C3"
        axes.barh(index, value - before, left=before, color=color, height=0.65)
        gain = "" if index == 0 else f"  ({value - before:+.2f})"
        axes.text(max(value, before) + 0.04, index, f"{value:.2f}{gain}", va="center", fontsize=8)
    for label, value in marks.items():
        axes.axvline(value, color="grey", linestyle="--", linewidth=0.8)
        axes.text(value, -0.75, label, ha="center", va="bottom", fontsize=8, color="grey")
    axes.set_yticks(range(len(steps)), [name for name, _ in steps], fontsize=8)
    axes.set(xlim=(floor, max(*figures, *marks.values()) + 0.7), ylim=(len(steps) - 0.4, -1.5))
    axes.set(xlabel="PSNR on Set5 (dB, luma)", title=title)
    axes.grid(alpha=0.3, axis="x")
    save_figure(figure, path)
