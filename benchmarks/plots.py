"""Plots that only the benchmarks draw."""

from collections.abc import Sequence
from pathlib import Path

from espcn.report.plots import new_figure, save_figure


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


def plot_gains(
    panels: dict[str, dict[str, list[tuple[float, float]]]],
    path: Path,
    title: str,
    along: str,
    downwards: bool = False,
) -> None:
    """Draw gains over bicubic: a panel for each case, a curve for each method, bicubic at zero."""
    figure, axes = new_figure(4.3 * len(panels), 4, len(panels))
    panel_axes = [axes] if len(panels) == 1 else list(axes)
    for axis, (name, curves) in zip(panel_axes, panels.items(), strict=True):
        axis.axhline(0, color="grey", linestyle="--", linewidth=0.9, label="bicubic")
        for label, points in curves.items():
            places, gains = zip(*points, strict=True)
            axis.plot(places, gains, marker=".", linewidth=1.3, label=label)
        axis.set(title=name, xlabel=along)
        if downwards:
            axis.invert_xaxis()
        axis.grid(alpha=0.3)
    panel_axes[0].set_ylabel("gain over bicubic (dB, luma)")
    panel_axes[0].legend(fontsize=8)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)


def plot_matrix(
    figures: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    path: Path,
    title: str,
) -> None:
    """Draw a table of gains as coloured cells, the best of each column framed."""
    figure, axes = new_figure(0.85 * len(columns) + 2.6, 0.42 * len(rows) + 1.5)
    span = max(abs(value) for row in figures for value in row)
    axes.imshow(figures, cmap="RdBu", vmin=-span, vmax=span, aspect="auto")
    for y, row in enumerate(figures):
        for x, value in enumerate(row):
            best = value == max(other[x] for other in figures)
            weight = "bold" if best else "normal"
            axes.text(x, y, f"{value:+.2f}", ha="center", va="center", fontsize=8, weight=weight)
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set(title=title, xlabel="source")
    save_figure(figure, path)


def plot_costs(
    panels: dict[str, list[tuple[str, float, float]]], below: float, path: Path, title: str
) -> None:
    """Draw PSNR against operations: a panel for each task, a mark for each network.

    `panels` maps a task to its points `(network, 10^9 operations, dB)`. A network that is more than
    `below` dB under the best stands at the lower edge, with its figure.
    """
    figure, axes = new_figure(4.3 * len(panels), 4, len(panels))
    panel_axes = [axes] if len(panels) == 1 else list(axes)
    names = list(dict.fromkeys(name for points in panels.values() for name, *_ in points))
    for axis, (task, points) in zip(panel_axes, panels.items(), strict=True):
        best = max(psnr for *_, psnr in points)
        floor = best - below
        for name, cost, psnr in points:
            color = f"C{names.index(name)}"
            marker = "*" if name.startswith("ours") else "o" if psnr > floor else "v"
            size = 110 if marker == "*" else 45
            axis.scatter(cost, max(psnr, floor), s=size, marker=marker, color=color, label=name)
            if psnr <= floor:
                axis.annotate(f"{psnr:.2f}", (cost, floor), (0, 7), textcoords="offset points",
                              ha="center", fontsize=7)  # fmt: skip
        axis.set(xlabel="10^9 multiply-adds for 640x360", title=task)
        axis.set(xlim=(0, None), ylim=(floor - 0.03 * below, best + 0.06 * below))
        axis.grid(alpha=0.3)
    panel_axes[0].set_ylabel("PSNR on BSD300 (dB, luma)")
    panel_axes[0].legend(fontsize=7, loc="center left")
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)
