"""What charts show between their axes: lines, points, bars and marks. Lengths are pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

from espcn.report.pages.axes import Axis


@dataclass(frozen=True)
class Line:
    """Points that are joined.

    Attributes:
        label: What they are.
        points: Pixels across and down.
        color: The number of its colour, from 0; None for a faint one.
        jobs: The numbers of the jobs behind it, if it is one of a sweep's.
    """

    label: str
    points: Sequence[tuple[float, float]]
    color: int | None = 0
    jobs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Point:
    """One mark.

    Attributes:
        x: Pixels across.
        y: Pixels down.
        label: What it is.
        color: The number of its colour, from 0; None for a faint one.
        job: The number of the job that it shows.
        outside: Whether its value lies beyond the chart.
    """

    x: float
    y: float
    label: str
    color: int | None = 0
    job: int | None = None
    outside: bool = False


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram.

    Attributes:
        left: Pixels across.
        right: Likewise.
        top: Pixels down.
        label: What it counts.
        color: The number of its colour.
    """

    left: float
    right: float
    top: float
    label: str
    color: int = 0


@dataclass(frozen=True)
class Chart:
    """What a chart shows.

    Attributes:
        title: What it shows, in words.
        x: The lower axis.
        y: The left axis.
        lines: Its lines.
        points: Its points.
        bars: Its bars.
        marks: Upright lines: pixels across, and what happened there.
        notes: What a reader has to know besides.
    """

    title: str
    x: Axis
    y: Axis
    lines: Sequence[Line] = ()
    points: Sequence[Point] = ()
    bars: Sequence[Bar] = ()
    marks: Sequence[tuple[float, str]] = ()
    notes: Sequence[str] = ()

    @property
    def legend(self) -> list[Line]:
        """Those of its lines that have a name and a colour; none if it is only one."""
        named = [line for line in self.lines if line.label and line.color is not None]
        return named if len(named) > 1 else []
