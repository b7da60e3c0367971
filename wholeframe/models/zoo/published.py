"""Published figures of a network, its sizes beside ours."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from wholeframe.models.cost import Cost, count
from wholeframe.models.zoo import card_of
from wholeframe.models.zoo.card import Published, Unit

# What a figure is of, and how many of them its unit is.
SIZES: dict[Unit, tuple[Callable[[Cost], int], float]] = {
    "parameters": (lambda cost: cost.params, 1),
    "M parameters": (lambda cost: cost.params, 1e6),
    "G multiply-adds": (lambda cost: cost.macs, 1e9),
    "x parameters": (lambda cost: cost.params, 1),
    "x multiply-adds": (lambda cost: cost.macs, 1),
}


@dataclass(frozen=True)
class Beside:
    """A published figure, and ours with as many digits where it is a size."""

    published: Published
    ours: str | None

    @property
    def agrees(self) -> bool:
        """Whether ours rounds to what was printed."""
        return self.ours == self.published.figure

    @property
    def note(self) -> str:
        """What has to be said of the figure: that it is unverified, how it was counted, why ours is another."""
        published = self.published
        said = [] if published.confirmed else ["unverified"]
        said += [f"{name} {value}" for name, value in published.options.items()]
        said += [] if published.input is None else [f"input {' x '.join(map(str, published.input))}"]
        said += [f"of {published.base}"] if published.base else []
        said += [published.differs] if published.differs else []
        return "; ".join(said)


def figures(name: str) -> list[Beside]:
    """Every published figure of a named network, its sizes counted as they were: that sample, those arguments."""
    return [_beside(name, published) for published in card_of(name).published]


def _beside(name: str, published: Published) -> Beside:
    if published.unit not in SIZES:
        return Beside(published, None)
    size, unit = SIZES[published.unit]
    if published.base:
        unit = size(counted(published.base))
    ours = size(counted(name, published.input, **published.options))
    return Beside(published, _printed(ours / unit, like=published.figure))


@cache
def counted(name: str, sample: tuple[int, ...] | None = None, **options: object) -> Cost:
    """The cost of a named network, with the classes of its published figures and on its own sample unless told."""
    network = card_of(name)
    return count(lambda: network.make(network.num_classes, **options), sample or network.input)


def _printed(value: float, like: str) -> str:
    """With as many digits behind the point, and with commas if `like` has them."""
    digits = len(like.partition(".")[2])
    return f"{value:{',' if ',' in like else ''}.{digits}f}"
