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


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    """Give a matplotlib figure of so many inches and its axes, an array if there are `columns`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns)


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
    points = [
        (", ".join(f"{name}={row.get(name)}" for name in others), row[setting], row["val_psnr"])
        for row in rows
    ]
    measure = "validation PSNR (dB, luma)"
    plot_comparison({measure: points}, setting, path, f"PSNR against {setting}")


def plot_comparison(
    panels: dict[str, list[tuple[str, Any, float]]],
    setting: str,
    path: Path,
    title: str,
    span: float | None = None,
) -> None:
    """Draw what a setting does: a panel for each measure, a line for each series of points.

    `panels` maps a measure ("validation PSNR (dB)") to its points `(series, value, figure)`, one
    for each fold or seed. All are shown, faintly, and their means; these joined where values are
    numbers. With `span`, only figures of at most so much below the best.
    """
    figure, axes = new_figure(max(7, 5.2 * len(panels)), 4.2, len(panels))
    panel_axes = [axes] if len(panels) == 1 else list(axes)
    for axis, (measure, points) in zip(panel_axes, panels.items(), strict=True):
        values = list(dict.fromkeys(value for _, value, _ in points))
        numbers = all(isinstance(value, int | float) for value in values)
        place = {v: float(v) if numbers else float(i) for i, v in enumerate(values)}
        for index, series in enumerate(dict.fromkeys(name for name, _, _ in points)):
            own = [(place[value], psnr) for name, value, psnr in points if name == series]
            at = sorted({x for x, _ in own})
            means = [statistics.mean(psnr for x, psnr in own if x == one) for one in at]
            style = {"color": f"C{index}", "linestyle": "-" if numbers else "none"}
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
        if any(name for name, _, _ in points):
            axis.legend(fontsize=8)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)


def plot_times(
    curves: dict[str, list[tuple[float, float]]], marks: dict[str, float], path: Path, title: str
) -> None:
    """Draw PSNR against seconds of training, a curve for each way, a dashed line for each mark."""
    figure, axes = new_figure(7, 4.2)
    for label, points in curves.items():
        seconds, figures = zip(*points, strict=True)
        axes.plot(seconds, figures, label=label, marker=".", linewidth=1.2)
    for label, psnr in marks.items():
        axes.axhline(psnr, color="grey", linestyle="--", linewidth=0.8)
        axes.annotate(label, (1, psnr), xycoords=("axes fraction", "data"), va="bottom",
                      ha="right", fontsize=8, color="grey")  # fmt: skip
    axes.set(xlabel="seconds of training", ylabel="PSNR (dB, luma)", xscale="log", title=title)
    times = [x for points in curves.values() for x, _ in points]
    round_ones = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
    ticks = [t for t in round_ones if min(times) / 1.5 < t < 1.5 * max(times)]
    axes.set_xticks(ticks, [f"{t}" for t in ticks])
    axes.minorticks_off()
    axes.legend(loc="upper left", fontsize=8)
    axes.grid(alpha=0.3)
    save_figure(figure, path)


def plot_speeds(
    panels: dict[str, list[tuple[str, str, float, float]]], path: Path, title: str
) -> None:
    """Draw PSNR against frames a second: a panel for each task, a mark for each way to do it.

    `panels` maps a task to its points `(way, precision, frames/s, dB)`; the mark says which
    precision.
    """
    figure, axes = new_figure(5.2 * len(panels), 4.4, len(panels))
    panel_axes = [axes] if len(panels) == 1 else list(axes)
    marks = {"float32": "o", "bfloat16": "^", "int8": "s"}
    ways = list(dict.fromkeys(way for points in panels.values() for way, *_ in points))
    for axis, (task, points) in zip(panel_axes, panels.items(), strict=True):
        for way, precision, rate, psnr in points:
            label, color = f"{way}, {precision}", f"C{ways.index(way)}"
            axis.scatter(rate, psnr, s=45, marker=marks[precision], color=color, label=label)
        rates = [rate for *_, rate, _ in points]
        ticks = [
            t for t in (2, 5, 10, 20, 50, 100, 200, 500) if min(rates) < 2 * t < 4 * max(rates)
        ]
        axis.set(xscale="log", xlabel="frames a second", title=task)
        axis.set_xticks(ticks, [f"{tick}" for tick in ticks])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    panel_axes[0].set_ylabel("PSNR on Set5 (dB, luma)")
    panel_axes[0].legend(fontsize=7, loc="center left")
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)


def plot_growth(
    panels: dict[str, list[tuple[float, float]]], size: str, path: Path, title: str
) -> None:
    """Draw how measures grow with a size: a panel for each, on logarithmic axes, and proportion."""
    figure, axes = new_figure(4.2 * len(panels), 3.8, len(panels))
    panel_axes = [axes] if len(panels) == 1 else list(axes)
    for axis, (measure, points) in zip(panel_axes, panels.items(), strict=True):
        sizes, figures = zip(*points, strict=True)
        axis.plot(sizes, figures, marker="o")
        in_proportion = [figures[0] * one / sizes[0] for one in sizes]
        axis.plot(sizes, in_proportion, color="grey", linestyle="--", linewidth=0.8)
        axis.set(xscale="log", yscale="log", xlabel=size, ylabel=measure)
        axis.set_ylim(min(figures) / 3, max(*in_proportion, *figures) * 3)
        axis.grid(alpha=0.3)
    figure.suptitle(title, fontsize=11)
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
        axes.text(value - 0.04, -0.75, label, ha="right", va="bottom", fontsize=8, color="grey")
    axes.set_yticks(range(len(steps)), [name for name, _ in steps], fontsize=8)
    axes.set(xlim=(floor, max(*figures, *marks.values()) + 1), ylim=(len(steps) - 0.4, -1.5))
    axes.set(xlabel="PSNR on Set5 (dB, luma)", title=title)
    axes.grid(alpha=0.3, axis="x")
    save_figure(figure, path)
