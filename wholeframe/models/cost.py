"""What a network costs: parameters, multiply-adds and memory of a pass, module by module."""

import functools
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from wholeframe.blocks import Block
from wholeframe.models.activations import kept, peaks
from wholeframe.models.measure import seconds
from wholeframe.models.products import Products, products
from wholeframe.models.running import places
from wholeframe.models.valueless import Valueless
from wholeframe.surgery.probe import Example, as_call, evaluating
from wholeframe.surgery.verify import refuse_lost


@dataclass(frozen=True)
class Row:
    """What one module costs without the modules in it that have rows of their own.

    Args:
        name: of the module; "" for the network itself.
        kind: its class.
        block: whether it is a block of this package (or has its interface), which has one row with all of its parts.
        params: parameters; a shared one belongs to the first module that has it.
        macs: multiply-adds by the definition; a module that runs twice counts twice.
        torch_macs: those that torch's `FlopCounterMode` sees in the same pass.
        kept: bytes that training keeps for the backward pass; None where that is not known.
        peak: the most bytes that exist at one time in inference while the module's own operations run, those that
            others hold included.
        map: shape of what a block reads, batch and channels first; () for another module, and for a block that the
            pass does not run.
    """

    name: str
    kind: str
    block: bool
    params: int
    macs: int
    torch_macs: int
    kept: int | None
    peak: int
    map: tuple[int, ...] = ()

    def plus(self, other: "Row") -> "Row":
        """This row with the costs of another one added; peaks do not add up, so the larger one stays."""
        return replace(
            self,
            params=self.params + other.params,
            macs=self.macs + other.macs,
            torch_macs=self.torch_macs + other.torch_macs,
            kept=None if self.kept is None or other.kept is None else self.kept + other.kept,
            peak=max(self.peak, other.peak),
        )


@dataclass(frozen=True)
class Cost:
    """Parameters, and the multiply-adds of the example.

    `rows` has a `Row` for every module, and their sum is the cost of the network; it is empty where `count` or `sizes`
    counts these two numbers alone. `notes` says in sentences what is not counted.
    """

    params: int
    macs: int
    rows: tuple[Row, ...] = field(default=(), compare=False, repr=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def blocks(self) -> tuple[Row, ...]:
        """The rows of the blocks."""
        return tuple(row for row in self.rows if row.block)

    @property
    def total(self) -> Row:
        """The sum of all rows, and the largest peak."""
        return _sum("", self.rows)

    def at(self, depth: int) -> tuple[Row, ...]:
        """The same cost in fewer rows: one per block, and one per module down to a depth, 1 for the network's children.

        A row has all that is in its module except what has a row of its own: these rows, too, add up to the total.
        """
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            name = row.name if row.block else ".".join(row.name.split(".")[:depth])
            groups.setdefault(name, []).append(row)
        return tuple(_sum(name, group) for name, group in groups.items())


def cost(network: nn.Module, example: Example) -> Cost:
    """Count what a network costs: parameters, multiply-adds and memory of a pass, module by module.

    A block counts as its definition (`Block.multiply_adds`), whichever backend runs it, so that the number depends
    on neither dtype nor machine. Everything else is counted while it runs: convolutions, matrix products and attention.
    Elementwise operations, interpolation and pooling outside the blocks are not counted, as in the papers.

    The network is copied to tensors that have shapes and no values, and the copy runs in almost no time and memory.
    Where the forward pass needs values, the network itself runs in eval mode, and a copy of it in training mode.

    Args:
        network: stays unchanged, with its training flags.
        example: the input with its batch, as in `wf.insert`: a tensor, a tuple of positional or a dict of keyword
            arguments, or None for one 224 x 224 image.

    Returns:
        All parameters, trainable or not, the multiply-adds of the example, and a row for every module.

    Raises:
        ValueError: if a tool has dropped an inserted block, see `wf.verify`.
    """
    refuse_lost(network)
    passes = Valueless(network, as_call(network, example))
    multiplied, highest = passes.run(products, changes=False), passes.run(peaks, changes=False)
    notes = _unknown(multiplied)
    try:
        trained = passes.run(kept, changes=True)
    except Exception as error:  # of any kind: the network's own code says whether it trains on this input
        trained = None
        notes += (
            "what training keeps is not counted, because the network does not run in training mode on this input "
            f"({first_line(error)}); a batch norm of one position needs a larger batch, a detector its targets",
        )
    rows = _rows(network, multiplied, trained, highest)
    return Cost(parameters(network), sum(row.macs for row in rows), rows, notes)


def sizes(network: nn.Module, example: Example) -> Cost:
    """Parameters and multiply-adds alone, in one pass over the network itself: `cost` without rows."""
    refuse_lost(network)
    multiplied = products(network, as_call(network, example))
    return Cost(parameters(network), sum(multiplied.ours.values()), notes=_unknown(multiplied))


def count(make: Callable[[], nn.Module], sample: Sequence[int], part: str = "") -> Cost:
    """`sizes` without computing: tensors have shapes but no values, so a clip takes a second and almost no memory.

    Args:
        make: builds the network.
        sample: shape of one sample, such as (3, 224, 224).
        part: the module whose multiply-adds are counted, with `sample` as its input; "" for the network. Those of the
            heads of a detector depend on what is in the image.
    """
    with FakeTensorMode():
        network = make()
        counted = sizes(network.get_submodule(part), torch.empty(1, *sample))
        return replace(counted, params=parameters(network))


def inference_ms(network: nn.Module, example: Tensor | list[Tensor], repeats: int = 20) -> float:
    """Median milliseconds of one forward pass, after three passes to warm up."""
    with evaluating(network), torch.no_grad():
        device = example[0].device  # of an image, or of the first image of a detector's list
        times = [seconds(lambda: network(example), device) for _ in range(repeats + 3)]
    return 1000 * statistics.median(times[3:])


def parameters(network: nn.Module) -> int:
    """The number of parameters, trainable or not; a shared one counts once."""
    return sum(parameter.numel() for parameter in network.parameters())


def first_line(error: Exception) -> str:
    """The first line of an error's message; its class where there is none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _rows(
    network: nn.Module, multiplied: Products, trained: Mapping[str, int] | None, highest: Mapping[str, int]
) -> tuple[Row, ...]:
    """A row for every module."""
    counted: set[nn.Parameter] = set()
    rows = []
    for name, module in places(network).items():
        block = isinstance(module, Block)
        new = set(module.parameters(recurse=block)) - counted
        counted |= new
        rows.append(
            Row(
                name=name,
                kind=type(module).__name__,
                block=block,
                params=sum(parameter.numel() for parameter in new),
                macs=multiplied.ours[name],
                torch_macs=multiplied.torchs[name],
                kept=None if trained is None else trained.get(name, 0),
                peak=highest.get(name, 0),
                map=multiplied.maps.get(name, ()),
            )
        )
    return tuple(rows)


def _sum(name: str, rows: Sequence[Row]) -> Row:
    """The rows as one, under the name and the kind of the first."""
    return replace(functools.reduce(Row.plus, rows), name=name)


def _unknown(multiplied: Products) -> tuple[str, ...]:
    return tuple(
        f"{name} is an operation of another package without a formula: its multiply-adds are not counted"
        for name in sorted(multiplied.unknown)
    )
