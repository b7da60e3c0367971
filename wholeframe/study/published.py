"""Published sizes of a network beside ours."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from wholeframe.models.card import Published, Unit
from wholeframe.models.zoo import card
from wholeframe.study.cost import Cost, count

# What the figure is of, and how many of them its unit is.
SIZES: dict[Unit, tuple[Callable[[Cost], int], float]] = {
    "parameters": (lambda cost: cost.params, 1),
    "M parameters": (lambda cost: cost.params, 1e6),
    "G multiply-adds": (lambda cost: cost.macs, 1e9),
    "x parameters": (lambda cost: cost.params, 1),
    "x multiply-adds": (lambda cost: cost.macs, 1),
}


@dataclass(frozen=True)
class Beside:
    """A published figure and ours, with as many digits; `exact` is ours with all of them."""

    published: Published
    ours: str
    exact: int

    @property
    def agrees(self) -> bool:
        """Whether ours rounds to what was printed."""
        return self.ours == self.published.figure


def sizes(name: str) -> list[Beside]:
    """Every published size of a named network, counted as it was: on that sample, with those arguments."""
    return [_beside(name, published) for published in card(name).published if published.unit in SIZES]


def _beside(name: str, published: Published) -> Beside:
    size, unit = SIZES[published.unit]
    if published.base:
        unit = size(counted(published.base))
    exact = size(counted(name, published.input, **published.options))
    return Beside(published, _printed(exact / unit, like=published.figure), exact)


@cache
def counted(name: str, sample: tuple[int, ...] | None = None, **options: object) -> Cost:
    """The cost of a named network, with the classes of its published figures and on its own sample unless told."""
    network = card(name)
    return count(lambda: network.make(network.classes, **options), sample or network.input)


def _printed(value: float, like: str) -> str:
    """With as many digits behind the point: "28.08" for 28078773 / 10^6 like "28.10"; "28,078,773" like "1,000"."""
    digits = len(like.partition(".")[2])
    return f"{value:{',' if ',' in like else ''}.{digits}f}"
