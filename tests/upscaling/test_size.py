"""Sizes of results: what each way of asking comes to, and the factors that lead there."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espcn.network.weights import factors
from espcn.upscaling.size import ENDINGS, SCREENS, LargeEnough, Size, screens, steps

sides = st.integers(1, 5000)


@pytest.mark.parametrize(
    ("size", "expected", "ending", "words"),
    [
        (Size(width=3840), (3840, 2880), "_3840w", "to a width of 3840"),
        (Size(height=1000), (1333, 1000), "_1000h", "to a height of 1000"),
        (Size(scale=1.5), (600, 450), "_x1.5", "by 1.5"),
        (Size(scale=6), (2400, 1800), "_x6", "by 6"),
        (Size(screen="4k"), (2880, 2160), "_4k", "to 4k (within 3840 x 2160)"),
        (Size(screen="720p"), (960, 720), "_720p", "to 720p (within 1280 x 720)"),
    ],
)
def test_each_way_of_a_picture_of_400_x_300(
    size: Size, expected: tuple[int, int], ending: str, words: str
) -> None:
    assert size.of(400, 300) == expected
    assert size.ending == ending
    assert str(size) == words
    assert ENDINGS.fullmatch(ending)


@given(width=sides, height=sides, name=st.sampled_from(sorted(SCREENS)))
def test_screen_is_filled_one_way_and_not_left_the_other(
    width: int, height: int, name: str
) -> None:
    most = SCREENS[name]
    try:
        large = Size(screen=name).of(width, height)
    except LargeEnough:
        assert width >= most[0] or height >= most[1]
        return
    assert all(side <= limit for side, limit in zip(large, most, strict=True))
    assert any(side == limit for side, limit in zip(large, most, strict=True))
    # The shape is kept to half a pixel.
    assert abs(large[0] * height - large[1] * width) <= max(width, height) / 2 + 1 or 1 in large


@given(width=sides, height=sides, wanted=st.integers(1, 20_000))
def test_width_and_height_are_met_to_the_pixel(width: int, height: int, wanted: int) -> None:
    for name, own in (("width", width), ("height", height)):
        size = Size(**{name: wanted})
        if wanted <= own:
            with pytest.raises(LargeEnough, match=f"it is already {width} x {height} pixels"):
                size.of(width, height)
        else:
            assert size.of(width, height)[name == "height"] == wanted


@given(width=sides, height=sides, scale=st.floats(1.01, 16))
def test_steps_reach_the_size_and_no_other_way_is_shorter(
    width: int, height: int, scale: float
) -> None:
    try:
        large = Size(scale=scale).of(width, height)
    except LargeEnough:
        assert scale * max(width, height) < max(width, height) + 0.5
        return
    try:
        taken = steps((width, height), large, factors())
    except ValueError:
        assert 16 * width < large[0] or 16 * height < large[1]  # a side was rounded upwards
        return
    product = taken[0] * (taken[1] if len(taken) > 1 else 1)
    assert product * width >= large[0]
    assert product * height >= large[1]
    for way in [*((r,) for r in factors()), *itertools.product(factors(), repeat=2)]:
        other = way[0] * (way[1] if len(way) > 1 else 1)
        if other * width >= large[0] and other * height >= large[1]:
            assert (other, len(way)) >= (product, len(taken))


@pytest.mark.parametrize(
    ("times", "expected"),
    [(1.1, (2,)), (2, (2,)), (2.1, (3,)), (4, (4,)), (5, (3, 2)), (6, (3, 2)), (7, (4, 2)),
     (9, (3, 3)), (10, (4, 3)), (16, (4, 4))],
)  # fmt: skip
def test_next_factor_or_two(times: float, expected: tuple[int, ...]) -> None:
    assert steps((100, 50), (round(100 * times), round(50 * times)), (2, 3, 4)) == expected


def test_network_of_ones_own_is_taken_once_or_twice() -> None:
    assert steps((10, 10), (15, 15), [3]) == (3,)
    assert steps((10, 10), (31, 31), [3]) == (3, 3)
    with pytest.raises(
        ValueError, match="to become 91 x 91 pixels, but the maximum is 9 times its 10 x 10"
    ):
        steps((10, 10), (91, 91), [3])


def test_sizes_that_are_none_are_named() -> None:
    with pytest.raises(ValueError, match=r"`width` \(=0\) must be a whole number of at least 1"):
        Size(width=0)
    with pytest.raises(ValueError, match=r"`height` \(=2.5\) must be a whole number"):
        Size(height=2.5)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"`scale` \(=1\) must be a number above 1: use 1.5, for example"
    ):
        Size(scale=1)
    with pytest.raises(ValueError, match=r"`to` \(=2k\) must be hd or 720p \(1280 x 720\), full"):
        Size(screen="2k")
    with pytest.raises(ValueError, match="must be one of `width`, `height`, `scale` and `screen`"):
        Size(width=9, height=9)
    assert screens().endswith("8k or 4320p (7680 x 4320)")
