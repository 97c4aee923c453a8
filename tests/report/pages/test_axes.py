"""Where values lie on axes."""

import math

import pytest

from espcn.report.pages import axes


def test_values_keep_their_order_and_distances() -> None:
    axis = axes.axis("dB", [30, 31, 34], 100, 0)
    low, middle, high = (axis.place(value) for value in (30, 31, 34))
    assert 100 > low > middle > high > 0
    assert (middle - high) / (low - middle) == pytest.approx(3)


def test_equal_factors_lie_equally_far_apart_on_a_logarithmic_axis() -> None:
    axis = axes.horizontal("lr", [1e-4, 1e-3, 1e-2])
    places = [axis.place(value) for value in (1e-4, 1e-3, 1e-2)]
    assert axis.log
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])
    assert axes.LEFT < places[0] < places[2] < axes.WIDTH - axes.RIGHT


def test_values_beyond_the_ends_lie_on_the_edge() -> None:
    axis = axes.vertical("dB", [30, 31])
    assert axis.place(12) == axis.place(axis.low) == axes.HEIGHT - axes.BOTTOM
    assert axis.place(99) == axes.TOP


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([None, 30, 50], ["null", "30", "50"]),
        (["tanh", "relu"], ["relu", "tanh"]),
        ([[30, 95], [50, 70]], ["[30, 95]", "[50, 70]"]),
    ],
)
def test_what_is_not_all_numbers_is_placed_by_name(values: list, labels: list[str]) -> None:
    axis = axes.horizontal("setting", values)
    assert [tick.label for tick in axis.ticks] == labels
    assert sorted(axis.place(value) for value in values) == [tick.at for tick in axis.ticks]


def test_few_values_of_a_setting_are_marked_themselves() -> None:
    axis = axes.horizontal("blur", [0.1, 0.25, 0.5, 0.25], few=True)
    assert [tick.label for tick in axis.ticks] == ["0.1", "0.25", "0.5"]


def test_labels_never_cover_each_other() -> None:
    close = axes.horizontal("blur", [0, 1e-4, 2e-4, 100], few=True)
    assert [tick.label for tick in close.ticks] == ["0", "100"]
    many = axes.horizontal("name", [f"a long name, number {index}" for index in range(40)])
    assert len(many.ticks) <= 10
    assert all(len(tick.label) < 12 and tick.whole.startswith("a long name") for tick in many.ticks)


@pytest.mark.parametrize(
    ("low", "high"), [(1e-5, 3), (0.0012, 0.0071), (0.003, 0.003), (0.9, 1.1), (1e-12, 1e12)]
)
def test_logarithmic_axis_has_some_round_marks(low: float, high: float) -> None:
    axis = axes.vertical("loss", [low, high], log=True)
    assert 2 <= len(axis.ticks) <= 8
    for tick in axis.ticks:
        assert axis.place(float(tick.label)) == pytest.approx(tick.at, abs=0.01)


def test_counts_begin_at_none_and_are_whole() -> None:
    axis = axes.counts("pictures", 2)
    assert [tick.label for tick in axis.ticks] == ["0", "1", "2"]
    assert axis.place(0) == axes.HEIGHT - axes.BOTTOM
    assert all(float(tick.label) % 1 == 0 for tick in axes.epochs([1, 2]).ticks)


def test_single_value_lies_in_the_middle() -> None:
    for log in (True, False):
        axis = axes.axis("dB", [30.0], 0, 100, log)
        assert axis.place(30) == pytest.approx(50)
    assert math.isfinite(axes.vertical("dB", [0.0]).place(0.0))
