"""Plots: what they show, and that they can be drawn from odd figures."""

from pathlib import Path
from typing import Any

import plots as benchmark_plots
import pytest
from PIL import Image
from plots import plot_times, plot_waterfall

from espcn.report import plots


@pytest.mark.parametrize(("mark", "count"), [(True, 2), (False, 0)])
def test_every_drop_of_a_plateau_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: bool, count: int
) -> None:
    marks: list[float] = []
    figure, axes = plots.new_figure(3, 2)
    monkeypatch.setattr(axes, "axvline", lambda at, **_: marks.append(at))
    monkeypatch.setattr(plots, "new_figure", lambda *_: (figure, axes))
    rates = [3e-3, 3e-3, 3e-4, 3e-4, 1e-4, 1e-4]  # the last drop ends at the floor
    rows: list[dict[str, Any]] = [
        {"epoch": epoch, "train_loss": 1.0, "val_loss": None, "lr": rate}
        for epoch, rate in enumerate(rates, start=1)
    ]
    plots.plot_losses(rows, tmp_path / "losses.png", "losses", mark_drops=mark)
    assert len(marks) == count
    assert (tmp_path / "losses.png").stat().st_size > 1000


def test_losses_that_are_not_finite_can_be_drawn(tmp_path: Path) -> None:
    row = {"epoch": 1, "train_loss": float("inf"), "val_loss": float("nan"), "lr": 1.0}
    plots.plot_losses([row], tmp_path / "losses.png", "losses")
    assert (tmp_path / "losses.png").exists()


class Axes:
    """Takes note of what is drawn, and draws it too."""

    def __init__(self, axes: Any) -> None:
        self.axes, self.lines = axes, dict[str, list[tuple[float, float]]]()
        self.bars = list[tuple[float, float]]()

    def plot(self, x: list[float], y: list[float], **options: Any) -> None:
        self.lines[options["label"]] = list(zip(x, y, strict=True))
        self.axes.plot(x, y, **options)

    def barh(self, place: float, width: float, left: float, **options: Any) -> None:
        self.bars.append((left, left + width))
        self.axes.barh(place, width, left=left, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.axes, name)


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> Axes:
    figure, made = plots.new_figure(4, 3)
    noted = Axes(made)
    for module in (plots, benchmark_plots):
        monkeypatch.setattr(module, "new_figure", lambda *_: (figure, noted))
    return noted


def test_comparison_joins_the_means_over_folds(tmp_path: Path, axes: Axes) -> None:
    points = [("a", 1.0, 30.0), ("a", 1.0, 32.0), ("a", 10.0, 33.0), ("b", 1.0, 29.0)]
    plots.plot_comparison({"PSNR": points}, "lr", tmp_path / "a.png", "title")
    assert axes.lines == {"a": [(1.0, 31.0), (10.0, 33.0)], "b": [(1.0, 29.0)]}
    assert axes.axes.get_xscale() == "log"
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_comparison_of_names_puts_them_side_by_side(tmp_path: Path, axes: Axes) -> None:
    points = [("", "tanh", 30.0), ("", "relu", 29.0), ("", "tanh", 31.0)]
    plots.plot_comparison({"PSNR": points}, "activation", tmp_path / "a.png", "title")
    assert axes.lines == {None: [(0.0, 30.5), (1.0, 29.0)]}
    assert [label.get_text() for label in axes.axes.get_xticklabels()] == ["tanh", "relu"]


def test_waterfall_starts_each_bar_where_the_last_one_ended(tmp_path: Path, axes: Axes) -> None:
    steps = [("start", 30.0), ("worse", 29.5), ("better", 32.0)]
    plot_waterfall(steps, {"mark": 32.25}, tmp_path / "a.png", "title")
    assert [end for _, end in axes.bars] == pytest.approx([30.0, 29.5, 32.0])
    assert [start for start, _ in axes.bars[1:]] == pytest.approx([30.0, 29.5])


def test_times_are_drawn_for_each_way(tmp_path: Path, axes: Axes) -> None:
    curves = {"soap": [(5.0, 32.0), (10.0, 32.6)], "sgd": [(5.0, 28.0)]}
    plot_times(curves, {"paper": 32.55}, tmp_path / "a.png", "title")
    assert axes.lines == curves
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert axes.axes.get_xscale() == "log"


def test_plot_of_many_settings_keeps_room_for_its_lines(tmp_path: Path) -> None:
    points = [(f"setting {k}", x, 30.0 + k + x) for k in range(40) for x in (0.1, 0.2, 0.3)]
    plots.plot_comparison({"PSNR (dB)": points}, "blur", tmp_path / "many.png", "")
    plots.plot_comparison({"PSNR (dB)": points[:9]}, "blur", tmp_path / "few.png", "")
    with Image.open(tmp_path / "many.png") as many, Image.open(tmp_path / "few.png") as few:
        assert many.width > few.width + 200  # the legend stands beside
        assert abs(many.height - few.height) < 100
