"""Plots: what they show, and that they can be drawn from odd figures."""

from pathlib import Path
from typing import Any

import pytest

from espcn import plots


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
