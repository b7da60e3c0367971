"""Published figures of a network compared with ours."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from wholeframe.models.cost import Cost, count
from wholeframe.models.zoo import card_of
from wholeframe.models.zoo.card import FigureUnit, Published

# For each unit that is a size: the number of a `Cost` that it measures, and how much of it one unit is.
SIZE_UNITS: dict[FigureUnit, tuple[Callable[[Cost], int], float]] = {
    "parameters": (lambda cost: cost.params, 1),
    "M parameters": (lambda cost: cost.params, 1e6),
    "G multiply-adds": (lambda cost: cost.macs, 1e9),
    "x parameters": (lambda cost: cost.params, 1),
    "x multiply-adds": (lambda cost: cost.macs, 1),
}


@dataclass(frozen=True)
class Comparison:
    """A published figure and, where it is a size, ours printed with as many digits."""

    published: Published
    ours: str | None

    @property
    def agrees(self) -> bool:
        """Whether ours rounds to the printed figure."""
        return self.ours == self.published.figure

    @property
    def note(self) -> str:
        """Whether the figure is unverified, how it was counted, and why ours differs."""
        published = self.published
        said = [] if published.confirmed else ["unverified"]
        said += [f"{name} {value}" for name, value in published.options.items()]
        said += [] if published.input is None else [f"input {' x '.join(map(str, published.input))}"]
        said += [f"of {published.base}"] if published.base else []
        said += [published.differs] if published.differs else []
        return "; ".join(said)


def compare_figures(name: str) -> list[Comparison]:
    """Every published figure of a named network; sizes are counted with the sample and the options of the source."""
    return [_compare(name, published) for published in card_of(name).published]


def _compare(name: str, published: Published) -> Comparison:
    if published.unit not in SIZE_UNITS:
        return Comparison(published, None)
    size, unit = SIZE_UNITS[published.unit]
    if published.base:
        unit = size(cost_of(published.base))
    ours = size(cost_of(name, published.input, **published.options))
    return Comparison(published, _printed(ours / unit, like=published.figure))


@cache
def cost_of(name: str, sample: tuple[int, ...] | None = None, **options: object) -> Cost:
    """The cost of a named network with its published number of classes, on its own sample if none is given."""
    card = card_of(name)
    return count(lambda: card.make(card.num_classes, **options), sample or card.input, card.counted)


def _printed(value: float, like: str) -> str:
    """The value with as many decimals as `like`, and with thousands separators if `like` has them."""
    digits = len(like.partition(".")[2])
    return f"{value:{',' if ',' in like else ''}.{digits}f}"
