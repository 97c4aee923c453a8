"""The axes of the SVG charts: the positions of values. Lengths are in pixels.

A chart is small enough to be readable at a phone's width, where it is slightly scaled down.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.ticker import MaxNLocator

from espcn.report.jobs import is_number, name_of, ordered

WIDTH, HEIGHT = 440, 270
LEFT, RIGHT, TOP, BOTTOM = 70, 12, 12, 44  # around the area between the axes
LETTER = 6.2  # mean width of a letter
MOST = 10  # values that are marked themselves
DECADE = 8  # numbers above 0 that span such a factor lie on a logarithmic axis


@dataclass(frozen=True)
class Tick:
    """A tick on an axis.

    Attributes:
        at: Pixels.
        label: Its label.
        whole: The full text if the label is shortened.
    """

    at: float
    label: str
    whole: str = ""


@dataclass(frozen=True)
class Axis:
    """The positions of values between two ends.

    Attributes:
        title: What the values are, with their unit.
        start: The position of `low`.
        end: The position of `high`.
        low: The value at the start; for names, the index of the first.
        high: The value at the end.
        log: Whether the axis is logarithmic.
        names: Non-numeric values, placed one after another.
        marks: The numbers to mark; empty to choose round ones.
        whole: Whether to mark only whole numbers.
    """

    title: str
    start: float
    end: float
    low: float
    high: float
    log: bool = False
    names: tuple[str, ...] = ()
    marks: tuple[float, ...] = ()
    whole: bool = False

    def place(self, value: Any) -> float:
        """Return the position of a value.

        Args:
            value: A number, or one of `names`; a number beyond the ends is clamped to them.

        Returns:
            Pixels.
        """
        number = self.names.index(name_of(value)) if self.names else float(value)
        number = min(max(number, self.low), self.high)
        low, high = self.low, self.high
        if self.log:
            number, low, high = math.log(number), math.log(low), math.log(high)
        part = 0.5 if high == low else (number - low) / (high - low)
        return self.start + part * (self.end - self.start)

    @property
    def ticks(self) -> list[Tick]:
        """The ticks, as far as their labels fit."""
        if self.names:
            step = -(-len(self.names) // MOST)
            letters = max(4, int(abs(self.end - self.start) / len(self.names) * step / LETTER))
            return [
                Tick(self.place(name), _shortened(name, letters), name)
                for name in self.names[::step]
            ]
        if self.marks:
            marked = [Tick(self.place(value), name_of(value)) for value in self.marks]
            return _apart(marked, across=self.end > self.start)
        values = _round_numbers(self.low, self.high) if self.log else []
        if len(values) < 2:
            locator = MaxNLocator(5, steps=[1, 2, 5, 10], integer=self.whole)
            span = self.high - self.low
            found = [float(value) for value in locator.tick_values(self.low, self.high)]
            found = [0.0 if abs(value) < 1e-9 * span else value for value in found]  # as rounded
            values = [value for value in found if self.low <= value <= self.high]
        return [Tick(self.place(value), f"{value:.6g}") for value in values]


def horizontal(
    title: str, values: Iterable[Any], log: bool | None = None, few: bool = False
) -> Axis:
    """Return a chart's lower axis.

    Args:
        title: What the values are.
        values: Those that are shown, of any kind.
        log: Whether it is logarithmic; None to decide by the values.
        few: Whether to mark the values themselves, if they are few.

    Returns:
        The axis, from left to right.
    """
    return axis(title, values, LEFT, WIDTH - RIGHT, log, few)


def vertical(title: str, values: Iterable[Any], log: bool | None = None) -> Axis:
    """Return a chart's left axis.

    Args:
        title: What the values are, with their unit.
        values: Those that are shown, of any kind.
        log: Whether it is logarithmic; None to decide by the values.

    Returns:
        The axis, from the bottom up.
    """
    return axis(title, values, HEIGHT - BOTTOM, TOP, log)


def counts(title: str, most: int) -> Axis:
    """Return a chart's left axis for counts, which starts at 0.

    Args:
        title: What is counted.
        most: The largest number.

    Returns:
        The axis, from the bottom up, with room above for a mark.
    """
    return Axis(title, HEIGHT - BOTTOM, TOP, 0, most * 1.2, whole=True)


def epochs(numbers: Sequence[int]) -> Axis:
    """Return a chart's lower axis for epochs.

    Args:
        numbers: Their numbers.

    Returns:
        The axis, from left to right.
    """
    return replace(horizontal("epoch", numbers, log=False), whole=True)


def axis(
    title: str,
    values: Iterable[Any],
    start: float,
    end: float,
    log: bool | None = None,
    few: bool = False,
) -> Axis:
    """Return an axis with room for all values.

    Args:
        title: What the values are.
        values: Numbers, or any other values, which are placed by name.
        start: Its start, in pixels.
        end: Its end, in pixels.
        log: Whether it is logarithmic; with None it is if the numbers are above 0 and span about a
            decade.
        few: Whether to mark the values themselves if there are few, as for a setting.

    Returns:
        The axis, with some margin before the first value and after the last.
    """
    known = ordered(values)
    if not known or not all(is_number(value) and math.isfinite(value) for value in known):
        names = tuple(name_of(value) for value in known) or ("",)
        return Axis(title, start, end, -0.5, len(names) - 0.5, names=names)
    low, high = float(known[0]), float(known[-1])
    marks = tuple(known) if few and len(known) <= MOST else ()
    if log is None:
        log = low > 0 and high / low >= DECADE
    if log:
        room = (high / low) ** 0.06 if high > low else 2
        return Axis(title, start, end, low / room, high * room, log=True, marks=marks)
    room = (high - low or abs(high) or 1) * 0.06
    return Axis(title, start, end, low - room, high + room, marks=marks)


def _apart(ticks: Sequence[Tick], across: bool) -> list[Tick]:
    """Drop ticks whose labels would overlap the previous one."""
    kept: list[Tick] = []
    for tick in ticks:
        room = LETTER * (len(tick.label) + 2) if across else 14
        if not kept or abs(tick.at - kept[-1].at) >= room:
            kept.append(tick)
    return kept


def _round_numbers(low: float, high: float) -> list[float]:
    """Return round numbers in a range; a narrower range has more per power of ten."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1,)):
        found = [factor * 10.0**decade for decade in decades for factor in factors]
        found = [value for value in found if low <= value <= high]
        if len(found) <= 6:
            return found
    return found[:: -(-len(found) // 6)]


def _shortened(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
