"""The content of charts: lines, points, bars and marks. Lengths are in pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

from espcn.report.pages.axes import Axis


@dataclass(frozen=True)
class Line:
    """Joined points.

    Attributes:
        label: Their label.
        points: Pixels across and down.
        color: The number of its colour, from 0; None for a faint one.
        jobs: The numbers of its jobs, in a sweep.
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
        label: Its label.
        color: The number of its colour, from 0; None for a faint one.
        job: The number of its job.
        outside: Whether its value is outside the chart.
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
        right: Pixels across.
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
    """The content of a chart.

    Attributes:
        title: Its title.
        x: The lower axis.
        y: The left axis.
        lines: Its lines.
        points: Its points.
        bars: Its bars.
        marks: Vertical lines: pixels across, and a label.
        notes: Notes for the reader.
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
        """The lines that have a name and a colour; empty if there is only one."""
        named = [line for line in self.lines if line.label and line.color is not None]
        return named if len(named) > 1 else []
