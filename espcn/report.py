"""Tables and plots: knows numbers, not networks."""

import math
import platform
from collections.abc import Collection, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

from tabulate import tabulate

from espcn.files import whole_file

# Shi et al. 2016, Table 1 and 2: PSNR in dB on luma, by factor, trained on 91 images or ImageNet.
PAPER: dict[int, dict[str, dict[str, float]]] = {
    3: {
        "ESPCN (91)": {"Set5": 32.55, "Set14": 29.08, "BSD300": 28.26, "BSD500": 28.34},
        "ESPCN (ImageNet)": {"Set5": 33.13, "Set14": 29.49, "BSD300": 28.54, "BSD500": 28.64},
    },
    4: {"ESPCN (ImageNet)": {"Set5": 30.90, "Set14": 27.73, "BSD300": 27.06, "BSD500": 27.07}},
}

LIBRARIES = ("espcn", "torch", "pytorch-lightning", "torchmetrics", "scikit-image", "hydra-core")


def versions() -> dict[str, str]:
    """Give the versions of Python, of this program and of the libraries that figures depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def table(
    rows: Sequence[dict[str, Any]],
    digits: int = 2,
    settings: Collection[str] = (),
    markdown: bool = False,
) -> str:
    """Lay out rows in aligned columns, gaps for None.

    Figures get `digits` digits after the point, 2 for PSNR and 4 for SSIM; the columns named in
    `settings` as many as they have.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[row.get(name) for name in names] for row in rows]
    formats = ["g" if name in settings else f".{digits}f" for name in names]
    style = "github" if markdown else "simple"
    return tabulate(cells, names, tablefmt=style, floatfmt=formats, missingval="")


def score_table(r: int, figures: dict[str, dict[str, float]], benchmark: bool = True) -> str:
    """Lay out a run's PSNR on test sets beside bicubic's and the paper's.

    `figures` maps "bicubic" and the run's own title to a map from test set to dB. The paper's
    stand there only where they compare: on the `benchmark` degradation.
    """
    sets = list(dict.fromkeys(name for column in figures.values() for name in column))
    paper = PAPER.get(r, {}) if benchmark else {}
    columns = figures | {t: column for t, column in paper.items() if column.keys() & set(sets)}
    return table(
        [
            {f"PSNR (dB), r = {r}": name} | {c: columns[c].get(name) for c in columns}
            for name in sets
        ]
    )


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
