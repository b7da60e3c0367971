"""The geometry of charts in units of their SVG; the template draws them in the colours of the page.

Every arm has its number in each chart, so that no reader depends on colours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.ticker import EngFormatter, MaxNLocator

from wholeframe.explain.report.content import Arm
from wholeframe.explain.report.front import pareto_front

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 50, 24, 14, 42
"""margins: numbers of the vertical axis, numbers at the ends of lines, and the horizontal axis"""

NARROWEST = 0.01
"""the shortest span of a score or a loss: a smaller difference looks small"""

COLOURS, DASHES = 7, 4
"""colours and dashes in the style of the page: line n has colour n modulo 7, and the next dash after every 7 lines"""


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A line with its number at its end, or a point with its number inside."""

    number: int
    name: str
    x: float
    y: float
    path: str = ""
    front: bool = False

    @property
    def style(self) -> str:
        """The class of its colour and dash."""
        again, colour = divmod(self.number - 1, COLOURS)
        return f"c{colour} d{again % DASHES}"


@dataclass(frozen=True)
class Chart:
    """A chart as the template draws it.

    `alt` says in words what the chart shows, and `front` is the path through the points of the Pareto front.
    """

    title: str
    alt: str
    x: str
    y: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    marks: Sequence[Mark]
    front: str = ""
    width: int = WIDTH
    height: int = HEIGHT


Line = tuple[Arm, Sequence[tuple[float, float]]]
"""an arm and the points of its curve"""


def curves(title: str, x: str, y: str, lines: Sequence[Line]) -> Chart:
    """A chart of lines over each other."""
    place_x, x_ticks = _axis([at for _, line in lines for at, _ in line], LEFT, WIDTH - RIGHT, whole=True)
    place_y, y_ticks = _axis([value for _, line in lines for _, value in line], HEIGHT - BOTTOM, TOP, NARROWEST)
    marks, ends = [], []
    for arm, line in lines:
        points = [(place_x(at), place_y(value)) for at, value in line]
        marks.append(Mark(arm.number, arm.name, *points[-1], _path(points)))
        ends.append(f"{arm.name} from {line[0][1]:.3g} to {line[-1][1]:.3g}")
    return Chart(title, f"{title}: {'; '.join(ends)}.", x, y, x_ticks, y_ticks, marks)


def against(cost: str, score: str, arms: Sequence[Arm]) -> Chart:
    """A chart of the scores of arms over one of their costs, with the Pareto front."""
    points = [(arm.costs[cost], arm.score) for arm in arms]
    place_x, x_ticks = _axis([at for at, _ in points], LEFT, WIDTH - RIGHT)
    place_y, y_ticks = _axis([value for _, value in points], HEIGHT - BOTTOM, TOP, NARROWEST)
    best = pareto_front(points)
    marks = [
        Mark(arm.number, f"{arm.name}: {of_cost(at)}, {value:.3f}", place_x(at), place_y(value), front=k in best)
        for k, (arm, (at, value)) in enumerate(zip(arms, points, strict=True))
    ]
    marks.sort(key=lambda mark: mark.front)  # The front is drawn over the others.
    names = ", ".join(f"{arms[k].name} ({of_cost(points[k][0])}, {points[k][1]:.3f})" for k in best)
    alt = f"Pareto front of {score} against {cost}, from the lowest cost: {names}."
    steps = _steps([(place_x(points[k][0]), place_y(points[k][1])) for k in best])
    return Chart(f"{score} against {cost}", alt, cost, score, x_ticks, y_ticks, marks, steps)


def of_cost(value: float) -> str:
    """A cost with three digits, and a prefix if it is large: `16.9 M`."""
    return f"{value:.3g}" if value < 1000 else EngFormatter()(float(f"{value:.3g}"))


def _axis(
    values: Sequence[float], start: float, end: float, least: float = 0.0, whole: bool = False
) -> tuple[Callable[[float], float], list[Tick]]:
    """From values to places, with the ticks between both ends.

    Args:
        values: all that the axis shows.
        start, end: places of the ends of the axis.
        least: the shortest span of the axis.
        whole: only whole numbers have a tick.
    """
    low, high = min(values), max(values)
    margin = max(0.06 * (high - low), (least - (high - low)) / 2) or 0.05 * abs(high) or 1.0
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return round(start + (end - start) * (value - low) / (high - low), 1)

    ticks = [float(tick) for tick in MaxNLocator(5, integer=whole).tick_values(low, high) if low <= tick <= high]
    return place, [Tick(place(tick), _label(tick, high - low)) for tick in ticks]


def _label(tick: float, span: float) -> str:
    """The number at a tick, with the digits that tell it from its neighbours."""
    if span >= 1000:
        return EngFormatter()(tick)
    return f"{tick:.10g}" if abs(tick) > 1e-12 else "0"


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _steps(points: Sequence[tuple[float, float]]) -> str:
    """A staircase: up to the next point only where its cost is paid."""
    (x, y), *rest = points
    return f"M{x:g} {y:g}" + "".join(f"H{x:g}V{y:g}" for x, y in rest)
