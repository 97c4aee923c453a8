"""The page of a run, run.html: its settings, losses and rates, figures, and sample patches."""

import math
import re
import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from espcn.report.pages import axes
from espcn.report.pages.charts import Chart, Line, Point
from espcn.report.pages.rendering import address, duration, write_page
from espcn.report.pages.stored import read_head, read_json, read_lines, read_rows, read_yaml
from espcn.report.tables import beside_paper

PAGE, CONFIG, RESULT, EPOCHS = "run.html", "config.yaml", "result.json", "epochs.csv"
COMMAND, PATCHES, KINDS = "command.txt", "patches", ("low", "target", "output")
WIDE = 320  # pixels that a patch, its target and its output take side by side, on a phone too
FILES = ("best.ckpt", "last.ckpt", CONFIG, RESULT, EPOCHS, "losses.png")
MOST = 400  # epochs that the table and the charts show: of more, some in between are left out


def write_run(directory: Path) -> Path | None:
    """Write run.html next to the files of a run, however it ended.

    Args:
        directory: The run's directory.

    Returns:
        The page; None if there is neither a config.yaml nor a result.json.

    Raises:
        OSError: A file can't be read or written.
    """
    settings, result = read_yaml(directory / CONFIG), read_json(directory / RESULT)
    if not settings and not result:
        return None
    epochs = read_rows(directory / EPOCHS)
    best = result.get("best_epoch")
    shown = _thinned(epochs, best)
    commands = read_lines(directory / COMMAND)
    return write_page(
        directory / PAGE,
        "run.html",
        ["tables"],
        title=_title(directory.resolve()),
        result=result,
        settings=_groups(settings or _settings_of(result)),
        given=_given(commands),
        facts=_facts(result, epochs),
        commands=commands,
        tables=_tables(settings, result),
        charts_of_epochs=[_losses(shown, best), _rates(shown)] if shown else [],
        epochs=shown,
        count=len(epochs),
        best=best,
        patches=_patches(directory, settings.get("r", result.get("r", 0))),
        sweep="../sweep.html" if (directory.parent / "multirun.yaml").is_file() else None,
        files=[name for name in FILES if (directory / name).is_file()],
    )


def _title(directory: Path) -> str:
    """Return a run's title: its folder, with the date if the folder is named by the time."""
    dated = re.fullmatch(r"\d{4}-\d\d-\d\d", directory.parent.name)
    return f"Run {directory.parent.name}/{directory.name}" if dated else f"Run {directory.name}"


def _tables(settings: dict[str, Any], result: dict[str, Any]) -> list[tuple[str, dict, str]]:
    """Return a title, the PSNR of each set by column, and a remark for each degradation."""
    r = settings.get("r", result.get("r", 0))
    benchmark, matched = result.get("psnr") or {}, result.get("psnr_matched") or {}
    found = []
    if benchmark:
        columns = {"bicubic": result.get("bicubic_psnr") or {}, "this run": benchmark}
        found.append(("Benchmark", beside_paper(r, columns), "degraded bicubically, as in the "
                      "standard protocol"))  # fmt: skip
    if matched and matched != benchmark:
        found.append(("As in training", {"this run": matched}, "degraded like the training ones"))
    return found


def _losses(epochs: Sequence[dict[str, Any]], best: int | None) -> Chart:
    series = {"training": "train_loss", "validation": "val_loss"}
    values = [row[name] for row in epochs for name in series.values() if _shows(row.get(name))]
    x = axes.epochs([row["epoch"] for row in epochs])
    y = axes.vertical("mean squared error (0 to 1)", values or [1], log=bool(values))
    lines, points = [], []
    for color, (label, name) in enumerate(series.items()):
        known = [row for row in epochs if _shows(row.get(name))]
        places = [(x.place(row["epoch"]), y.place(row[name])) for row in known]
        if places:
            lines.append(Line(label, places, color))
        points += [
            Point(*place, f"epoch {row['epoch']}: {row[name]:.4g}, {label}", color)
            for place, row in zip(places, known, strict=True)
        ]
    marks = [(x.place(best), f"best, epoch {best}")] if best else []
    return Chart("Losses", x, y, lines, points, marks=marks)


def _rates(epochs: Sequence[dict[str, Any]]) -> Chart:
    known = [row for row in epochs if _shows(row.get("lr"))]
    x = axes.epochs([row["epoch"] for row in epochs])
    y = axes.vertical("learning rate", [row["lr"] for row in known] or [1], log=bool(known))
    places = [(x.place(row["epoch"]), y.place(row["lr"])) for row in known]
    points = [
        Point(*place, f"epoch {row['epoch']}: {row['lr']:.3g}")
        for place, row in zip(places, known, strict=True)
    ]
    falls = [
        (x.place(after["epoch"] - 0.5), f"{after['lr']:.0e}")
        for before, after in pairwise(known)
        if after["lr"] < before["lr"] / 5  # a plateau's; a cosine falls little by little
    ]
    return Chart("Learning rate", x, y, [Line("", places)], points, marks=falls)


def _shows(value: Any) -> bool:
    """Return whether a loss or a rate can be placed on a logarithmic axis."""
    return value is not None and math.isfinite(value) and value > 0


def _thinned(epochs: list[dict[str, Any]], best: int | None) -> list[dict[str, Any]]:
    """Return about MOST epochs, evenly spaced, with the best and the last among them."""
    step = max(1, -(-len(epochs) // MOST))
    return [
        row
        for place, row in enumerate(epochs)
        if place % step == 0 or row is epochs[-1] or row.get("epoch") == best
    ]


def _groups(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the settings by group, those without a group first."""
    alone = {name: value for name, value in settings.items() if not isinstance(value, dict)}
    groups = {name: value for name, value in settings.items() if isinstance(value, dict)}
    return ({"": alone} if alone else {}) | groups


def _settings_of(result: dict[str, Any]) -> dict[str, Any]:
    """Return the settings in a result without a configuration: those before the first figure."""
    names = [name for name in result if name not in ("status", "error")]
    end = names.index("device") if "device" in names else len(names)
    return {name: result[name] for name in names[:end]}


def _given(commands: Sequence[str]) -> dict[str, set[str]]:
    """Return the names of the settings that the commands change, by group."""
    try:
        words = [word for command in commands for word in shlex.split(command)]
    except ValueError:  # quotes that do not close, by somebody's own hand
        return {}
    given: dict[str, set[str]] = {}
    for word in words:
        name, equals, _ = word.lstrip("+~").partition("=")
        group, _, inner = name.rpartition(".")
        if equals:
            given.setdefault(group, set()).add(inner)
            given.setdefault(name, set()).add("name")  # `optim=adam` chooses a group
    return given


def _facts(result: dict[str, Any], epochs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the key facts; unknown ones are empty."""
    psnr, best = result.get("val_psnr"), result.get("best_epoch")
    count = len(epochs)
    images, patches = result.get("images"), result.get("patches")
    return {
        "validation PSNR": f"{psnr:.2f} dB" if psnr is not None else "",
        "best epoch": f"{best} of {count}" if best else f"none of {count}" if count else "",
        "trained for": duration(result.get("train_s")),
        "data": f"{result['dataset']}, {images} images, {patches} patches"
        if result.get("dataset") else "",
        "device": result.get("device") or "",
        "threads": result.get("threads") or "",
    }  # fmt: skip


def _patches(directory: Path, r: int) -> list[list[tuple[str, str, int, int]]]:
    """Return the kind, address, shown width and margin of each version of each sample patch.

    All are shown at the same scale.
    """
    found = []
    for number in range(MOST):
        paths = {kind: directory / PATCHES / f"{number}_{kind}.png" for kind in KINDS}
        heads = {kind: read_head(path) for kind, path in paths.items()}
        low, target = heads["low"], heads["target"]
        if low is None or target is None or heads["output"] is None:
            break
        context = low.width * r / target.width
        side = round(WIDE / (context + 2))
        wide = round(side * context)
        shown = {"low": (wide, (wide - side) // 2), "target": (side, 0), "output": (side, 0)}
        found.append([(kind, address(f"{PATCHES}/{paths[kind].name}"), *shown[kind])
                      for kind in KINDS])  # fmt: skip
    return found
