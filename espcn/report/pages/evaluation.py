"""The page of an evaluation, report.html: its sets, the gain of every picture, and the pictures."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator

from espcn.imaging.degradation import BENCHMARK, Degradation
from espcn.report.pages.axes import counts, horizontal
from espcn.report.pages.charts import Bar, Chart
from espcn.report.pages.rendering import address, duration, number, write_page
from espcn.report.pages.stored import Picture, read_head, read_json, read_rows
from espcn.report.tables import beside_paper, gain

PAGE, RECORD, ROWS = "report.html", "evaluation.json", "evaluation.csv"
EXTREMES = 5  # pictures that gained the most, and the least
BARS = 30  # of a histogram, at most
KERNELS = {
    "filters_first.png": "The kernels of the first layer",
    "filters_last.png": "The contribution of each feature in the last layer",
}


@dataclass(frozen=True)
class Scored:
    """A scored picture.

    Attributes:
        number: Its position in evaluation.csv, from 1.
        set: Its set.
        image: Its name.
        figures: PSNR in dB and SSIM under the names of evaluation.csv.
        base: The URL of its pictures without `_KIND.png`; None if they were not saved.
        original: The size and kind of the original; None if it was not saved.
    """

    number: int
    set: str
    image: str
    figures: dict[str, Any]
    base: str | None = None
    original: Picture | None = None

    @property
    def gain(self) -> float | None:
        """The gain over bicubic, in dB; None if it is not finite."""
        return gain(self.figures)


@dataclass(frozen=True)
class Group:
    """Pictures that are shown together.

    Attributes:
        title: What they have in common.
        pictures: The pictures, in display order.
        closed: Whether they are collapsed at first.
    """

    title: str
    pictures: Sequence[Scored]
    closed: bool = False

    def saved(self) -> "Group":
        """Return the same group without the pictures that were not saved.

        Returns:
            A group under the same title.
        """
        return replace(self, pictures=[one for one in self.pictures if one.base])


def write_evaluation(directory: Path) -> Path | None:
    """Write report.html next to the files of an evaluation.

    Args:
        directory: The directory that evaluate.py wrote into.

    Returns:
        The page; None if there is no evaluation.json.

    Raises:
        OSError: A file can't be read or written.
    """
    record = read_json(directory / RECORD)
    if not record:
        return None
    # What earlier versions saved, they did not record.
    with_images, with_kernels = record.get("save_images", True), record.get("save_filters", True)
    pictures = _pictures(directory, with_images)
    by_gain = sorted(
        pictures, key=lambda one: (one.gain is not None, one.gain or 0.0), reverse=True
    )
    groups = [Group("All pictures, by gain", by_gain)]
    if len(pictures) > 2 * EXTREMES:
        groups = [
            Group("Largest gains", by_gain[:EXTREMES]),
            Group("Smallest gains", by_gain[: -EXTREMES - 1 : -1]),
            Group("All other pictures", by_gain[EXTREMES:-EXTREMES], closed=True),
        ]
    saved = [some for some in (group.saved() for group in groups) if some.pictures]
    degradation = Degradation.from_settings(record)
    benchmark, sets = degradation == BENCHMARK, record.get("sets") or {}
    return write_page(
        directory / PAGE,
        "evaluation.html",
        ["tables", "pictures"] if saved else ["tables"],
        title=f"{record.get('ckpt') or 'A network'} on {', '.join(sets)}",
        r=(record.get("trained") or {}).get("r"),
        degradation=str(degradation),
        benchmark=benchmark,
        sets=sets,
        columns=_columns(record, benchmark),
        histograms=histograms(pictures),
        extremes=groups[:2] if len(groups) > 1 else [],
        groups=saved,
        heat=_heat(),
        pictures=by_gain,
        notebook=any("psnr_rgb_notebook" in one.figures for one in pictures),
        kernels={name: what for name, what in KERNELS.items()
                 if with_kernels and (directory / name).is_file()},
        scored=_scoring(record, degradation),
        network=_network(record),
        versions=record.get("versions") or {},
        files=[name for name in (RECORD, ROWS) if (directory / name).is_file()],
    )  # fmt: skip


def histograms(pictures: Sequence[Scored]) -> list[Chart]:
    """Return a histogram of the gains for each set, all with the same range.

    Args:
        pictures: The pictures of all sets.

    Returns:
        A chart for each set with a gain.
    """
    gains: dict[str, list[float]] = {}
    for one in pictures:
        if one.gain is not None:
            gains.setdefault(one.set, []).append(one.gain)
    every = [value for values in gains.values() for value in values]
    if not every:
        return []
    locator = MaxNLocator(BARS, steps=[1, 2, 5, 10], min_n_ticks=2)
    edges = locator.tick_values(min(*every, 0.0), max(*every, 0.1))
    return [_histogram(name, values, edges) for name, values in gains.items()]


def _histogram(name: str, gains: list[float], edges: Sequence[float]) -> Chart:
    found = np.histogram(gains, edges)[0].tolist()
    x = horizontal("gain over bicubic (dB)", (edges[0], edges[-1]), log=False)
    y = counts("pictures", max(found))
    bars = [
        Bar(
            x.place(low),
            x.place(high),
            y.place(count),
            f"{count} of {len(gains)} pictures gain {low:.6g} to {high:.6g} dB",
            color=1 if high <= 1e-9 else 0,
        )
        for count, low, high in zip(found, edges[:-1], edges[1:], strict=True)
        if count
    ]
    mean = sum(gains) / len(gains)
    marks = [(x.place(mean), f"mean {number(mean, '+.2f')} dB")]
    return Chart(f"{name}: {len(gains)} pictures", x, y, bars=bars, marks=marks)


def _columns(record: dict[str, Any], benchmark: bool) -> dict[str, dict[str, float]]:
    """Return the PSNR by set of bicubic, of this network and of the paper's."""
    sets = record.get("sets") or {}
    ours = {
        "bicubic": {name: one.get("bicubic_psnr") for name, one in sets.items()},
        "this network": {name: one.get("psnr") for name, one in sets.items()},
    }
    return beside_paper((record.get("trained") or {}).get("r", 0), ours, benchmark)


def _pictures(directory: Path, with_images: bool) -> list[Scored]:
    rows = [row for row in read_rows(directory / ROWS) if row.get("set") and row.get("image")]
    stems = Counter((row["set"], Path(row["image"]).with_suffix("")) for row in rows)
    found = []
    for place, row in enumerate(rows, start=1):
        name = Path(row["image"])
        alone = stems[row["set"], name.with_suffix("")] == 1
        figures = {key: value for key, value in row.items() if key not in ("set", "image")}
        names = [name.with_suffix("")] * alone + [name] if with_images else []
        saved = _saved(directory, row["set"], names)
        found.append(Scored(place, row["set"], row["image"], figures, *saved))
    return found


def _saved(directory: Path, of: str, names: Sequence[Path]) -> tuple[str | None, Picture | None]:
    """Return the URL of a picture's versions, and the size and kind of the original.

    They are named after the picture without its suffix, or with it if names would collide.
    """
    for base in (Path(of) / name for name in names):
        original = read_head(directory / f"{base}_original.png")
        if original is not None:
            return address(base), original
    return None, None


def _scoring(record: dict[str, Any], degradation: Degradation) -> dict[str, Any]:
    """Return how the pictures were degraded and scored."""
    names = ("compression", "seed", "device", "threads", "encoders")
    known = {name: record[name] for name in names if record.get(name) is not None}
    degraded = {"degradation": str(degradation)}
    return degraded | known | {"duration": duration(record.get("duration_s"))}


def _network(record: dict[str, Any]) -> dict[str, Any]:
    """Return the known facts about the network: its file, its training, its origin."""
    known = {name: record[name] for name in ("ckpt", "weights") if record.get(name) is not None}
    trained = {name: v for name, v in (record.get("trained") or {}).items() if v is not None}
    return known | trained | (record.get("provenance") or {})


def _heat() -> dict[str, list[str]]:
    """Return the colours of an error map, from none to the largest, by channel."""
    colors = colormaps["magma"](np.linspace(0, 1, 9))
    return {
        channel: [f"{level:.3f}" for level in colors[:, at]] for at, channel in enumerate("RGB")
    }
