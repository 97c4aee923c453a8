"""Draw every plot of RESULTS.md again, from the tables under results/.

python benchmarks/draw.py
"""

import argparse
import csv
import statistics
from pathlib import Path
from typing import Any

from plots import (
    plot_costs,
    plot_gains,
    plot_growth,
    plot_matrix,
    plot_speeds,
    plot_times,
    plot_waterfall,
)

from espcn.report.plots import plot_comparison
from espcn.report.tables import PAPER

RESULTS = Path(__file__).resolve().parent.parent / "results"
VAL, VAL_MATCHED = "PSNR on held-out images (dB)", "the same, degraded as in training (dB)"
NOTEBOOK_BEST = 32.25  # what the notebook's authors published: RGB, on their own degradation

# table: the swept setting, the setting that tells the lines apart, the measures, the title
COMPARISONS: dict[str, tuple[str, str | None, dict[str, str], str]] = {
    "blur": (
        "blur", "downsample", {VAL: "val_psnr", VAL_MATCHED: "val_psnr_matched"},
        "Training blur (sigma in high-resolution pixels)",
    ),
    "optimizer": ("lr", "optim", {VAL: "val_psnr"}, "Optimiser and rate"),
    "mu": ("mu", "plateau_patience", {VAL: "val_psnr"}, "The threshold mu and the patience"),
    "schedule": ("schedule", "averaging", {VAL: "val_psnr"}, "Plateau and cosine, averaged or not"),
    "batch": ("batch_size", None, {VAL: "val_psnr"}, "Batch size"),
    "activation": ("activation", None, {VAL: "val_psnr"}, "Activation"),
    "last_layer": ("last_layer_lr", None, {VAL: "val_psnr"}, "The last layer's share of the rate"),
    "channels": ("channels", None, {VAL: "val_psnr"}, "Luma or RGB"),
    "padding": ("padding", None, {VAL: "val_psnr"}, "What lies beyond the border"),
    "split": (
        "data.split", None,
        {"validation loss (1e-3)": "val_loss_1e3", "PSNR on Set14 (dB)": "psnr.Set14"},
        "Held out by image or by patch",
    ),
    "loss": ("loss", None, {VAL: "val_psnr"}, "The loss"),
}  # fmt: skip
METHODS = {"clean weights": "gain_clean", "the automatic choice": "gain_auto"}  # of real.py
SPANS = {"blur": 4.5, "optimizer": 3.0}  # dB below the best that are worth a look


def read(name: str) -> list[dict[str, Any]]:
    """Return a table's rows, numbers as floats, without empty values."""
    with (RESULTS / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return [{k: _value(v) for k, v in row.items() if v != ""} for row in csv.DictReader(file)]


def _value(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def draw_comparison(name: str, folder: Path) -> None:
    """Draw one factor's table: every fold, and the means over the folds."""
    setting, series, measures, title = COMPARISONS[name]
    rows = [row for row in read(name) if row["status"] == "completed"]
    for row in rows:
        row["val_loss_1e3"] = 1e3 * row["val_loss"]
        row["channels"] = {1.0: "luma", 3.0: "RGB"}.get(row.get("channels", 1.0))
    panels = {
        label: [
            (_label(series, row), row[setting], figure)
            for row, figure in zip(rows, _leveled(rows, measure), strict=True)
        ]
        for label, measure in measures.items()
    }
    plot_comparison(panels, setting, folder / f"{name}.png", title, SPANS.get(name))


def _leveled(rows: list[dict[str, Any]], measure: str) -> list[float]:
    """Return a measure of each row, with the differences between folds removed.

    A fold's level is its mean over all settings, so that the settings' means stay as they are. Not
    so for what tells splits apart, where a fold is not the same images.
    """
    values = [row[measure] for row in rows]
    if measure.startswith("val_loss"):
        return values
    folds: dict[Any, list[float]] = {}
    for row, value in zip(rows, values, strict=True):
        folds.setdefault(row["data.fold"], []).append(value)
    level = {fold: statistics.mean(own) for fold, own in folds.items()}
    common = statistics.mean(values)
    return [v - level[row["data.fold"]] + common for row, v in zip(rows, values, strict=True)]


def _label(series: str | None, row: dict[str, Any]) -> str:
    value = row[series] if series else ""
    return f"{series}={value:g}" if isinstance(value, float) else value


def draw_times(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the table of benchmarks/time_to_paper.py: PSNR on Set5 against the time."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        label = f"{row['optim']}, lr {row['lr']:g}"
        curves.setdefault(label, []).append((row["seconds"], row["Set5"]))
    marks = {f"{name}, {sets['Set5']:.2f}": sets["Set5"] for name, sets in PAPER[3].items()}
    plot_times(curves, marks, path, "The default run on Set5, by optimiser")


def draw_speeds(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the table of benchmarks/inference.py: PSNR against speed, factor by factor."""
    panels: dict[str, list[tuple[str, str, float, float]]] = {}
    for row in rows:
        task = f"r = {row['r']:g}, to 1920x1080"
        point = (row["way"], row["precision"], row["frames/s"], row["Set5 (dB)"])
        panels.setdefault(task, []).append(point)
    plot_speeds(panels, path, "Speed and quality of every way to run the network")


def draw_scale(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the table of benchmarks/scale.py: how preparation grows with the number of images."""
    measures = {
        "seconds of preparation": "seconds", "memory (MB)": "memory (MB)", "disk (MB)": "disk (MB)",
    }  # fmt: skip
    panels = {
        label: [(row["images"], row[name]) for row in rows] for label, name in measures.items()
    }
    title = "Larger training sets (dashed: in proportion)"
    plot_growth(panels, "images", path, title)


def draw_waterfall(path: Path) -> None:
    """Draw the way from the notebook to the shipped weights."""
    steps = [(row["step"], row["Set5"]) for row in read("waterfall")]
    best = next(
        row
        for row in read("shipped")
        if (row["r"], row["weights"], row["set"]) == (3, "clean", "Set5")
    )
    steps.append(("the shipped weights: longer, on all 91 images", best["psnr"]))
    marks = {
        f"the notebook's own figure, on RGB and its own degradation: {NOTEBOOK_BEST}": NOTEBOOK_BEST
    }
    plot_waterfall(steps, marks, path, "From the notebook to our best")


def draw_real_pictures(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the pictures of benchmarks/real.py: gains on Set14 against the JPEG's quality."""
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        if row["set"] != "Set14":
            continue
        curves = panels.setdefault(f"r = {row['r']:g}", {})
        for label, name in METHODS.items():
            curves.setdefault(label, []).append((row["quality"], row[name]))
    plot_gains(panels, path, "JPEGs made of Set14", "quality of the JPEG", downwards=True)


def draw_real_videos(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the videos of benchmarks/real.py: gains at r = 2 against x264's CRF, clip by clip."""
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        if row["r"] == 2 and row["codec"] == "libx264":
            curves = panels.setdefault(row["clip"], {})
            for label, name in METHODS.items():
                curves.setdefault(label, []).append((row["crf"], row[name]))
    plot_gains(panels, path, "Videos by x264, r = 2", "CRF")


def draw_sources(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the table of benchmarks/sources.py: what was trained on against what is upscaled."""
    columns = [name for name in rows[0] if name != "trained"]
    figures = [[row[name] for name in columns] for row in rows]
    title = "Gain over bicubic (dB) by what the network was trained on"
    plot_matrix(figures, [str(row["trained"]) for row in rows], columns, path, title)


def draw_peers(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the table of benchmarks/peers.py: PSNR on BSD300 against operations, by factor."""
    panels: dict[str, list[tuple[str, float, float]]] = {}
    for row in rows:
        if row["network"] != "bicubic":
            point = (row["network"], row["10^9 operations"], row["BSD300"])
            panels.setdefault(f"r = {row['r']:g}", []).append(point)
    plot_costs(panels, 0.3, path, "Networks of about this size (triangles: far below)")


def main() -> None:
    """Draw what there are tables for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (results)")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for table in sorted(RESULTS.glob("*.csv")):
        name = table.stem
        if name in COMPARISONS:
            draw_comparison(name, folder)
        elif name == "time_to_paper":
            draw_times(read(name), folder / f"{name}.png")
        elif name == "inference":
            draw_speeds(read(name), folder / f"{name}.png")
        elif name == "scale":
            draw_scale(read(name), folder / f"{name}.png")
        elif name == "waterfall":
            draw_waterfall(folder / f"{name}.png")
        elif name == "real_pictures":
            draw_real_pictures(read(name), folder / f"{name}.png")
        elif name == "real_videos":
            draw_real_videos(read(name), folder / f"{name}.png")
        elif name == "sources":
            draw_sources(read(name), folder / f"{name}.png")
        elif name == "peers":
            draw_peers(read(name), folder / f"{name}.png")
        else:
            continue
        print(folder / f"{name}.png")


if __name__ == "__main__":
    main()
