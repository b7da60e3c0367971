"""Where the time of a pass goes, block by block: products, passes over memory, and Python.

Every block gets a range of torch's profiler around its forward pass. An operation belongs to the block in whose range
it starts. A node of the backward pass belongs to the block whose forward operation made it: both carry the same
sequence number.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from wholeframe.blocks import Block
from wholeframe.models.measure import silent
from wholeframe.models.running import places

Part = Literal["products", "passes", "python"]

WHOLE, BLOCK = "wholeframe.bench", "wholeframe.block:"
NODE = "autograd::engine::evaluate_function"
OPERATION = re.compile(r"(aten|torchvision|mkldnn|mkldnn_prepacked)::")
PRODUCT = re.compile(r"::\w*(conv|dot_product|attention_(for|back)ward)|::(add)?(mm|mv|bmm|dot)$|::baddbmm$")
WITHOUT_VALUES = re.compile(
    r"::(as_strided\w*|view\w*|reshape|_reshape_alias|_unsafe_view|expand\w*|t|transpose\w*|permute|movedim|squeeze\w*|"
    r"unsqueeze\w*|flatten|unflatten|select|slice|narrow|split\w*|chunk|unbind|alias|detach\w*|empty\w*|new_empty\w*|"
    r"resize_|set_|to|_to_copy|contiguous|result_type|promote_types|resolve_\w+|linear|matmul|einsum)$"
)
"""operations that read and write no values themselves: views, allocation, and calls of other operations"""


@dataclass(frozen=True)
class Where:
    """Milliseconds of one pass: in matrix products and convolutions, in other operations, and outside of operations.

    `python` includes the framework: dispatch, views, allocation, and the nodes of autograd. On a GPU, products and
    passes are times of its kernels, and `python` is the time of the host, during which the kernels run.
    """

    products: float = 0.0
    passes: float = 0.0
    python: float = 0.0

    def plus(self, other: "Where") -> "Where":
        """The sum of both."""
        return Where(self.products + other.products, self.passes + other.passes, self.python + other.python)

    @property
    def total(self) -> float:
        """All milliseconds."""
        return self.products + self.passes + self.python


def profile_by_block(run: Callable[[], object], network: nn.Module, device: torch.device) -> dict[str, Where]:
    """Run a pass twice, the second time under the profiler, which makes Python slower.

    Args:
        run: one pass of the network, eager; forward alone, or forward and backward.
        network: its blocks get their own times.
        device: of the network.

    Returns:
        For each block, by name, its milliseconds; for "" those of everything else.
    """
    run()
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with silent(), _ranges(network), profile(activities=activities) as recorded, record_function(WHOLE):
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    events: Any = recorded.events()  # The profiler's own list type has no annotations.
    return _shared([event for event in events if event.device_type.name == "CPU"], device)


def part(name: str) -> Part:
    """To which part the own time of an event belongs, by the name of the operation."""
    if not OPERATION.match(name) or WITHOUT_VALUES.search(name):
        return "python"
    return "products" if PRODUCT.search(name) else "passes"


def _shared(events: list[Any], device: torch.device) -> dict[str, Where]:
    """Add every event's own time to the block that it belongs to."""
    made_by: dict[int, str] = {}
    for event in sorted(events, key=lambda event: event.time_range.start):
        place = _place(event)
        if event.sequence_nr >= 0 and not _is_node(place):
            # An operation that makes no node carries the number of the next node, so the last one counts.
            made_by[event.sequence_nr] = _block(place)
    found: dict[str, Where] = {}
    for event in events:
        place = _place(event)
        if place is not None:
            owner = made_by.get(place.sequence_nr, "") if _is_node(place) else _block(place)
            found[owner] = found.get(owner, Where()).plus(_own_time(event, device))
    return found


def _place(event: Any) -> Any:
    """The innermost block, node of the backward pass or whole pass that an event runs in; None for none of these."""
    while event is not None and not (event.name == WHOLE or event.name.startswith(BLOCK) or _is_node(event)):
        event = event.cpu_parent
    return event


def _block(place: Any) -> str:
    """The name of the block of a range; "" for the rest of the network."""
    return place.name.removeprefix(BLOCK) if place is not None and place.name.startswith(BLOCK) else ""


def _is_node(event: Any) -> bool:
    """Whether autograd runs a node of the backward pass here."""
    return event is not None and event.name.startswith(NODE)


def _own_time(event: Any, device: torch.device) -> Where:
    """The time of an event without the events inside."""
    kind, host = part(event.name), event.self_cpu_time_total / 1000
    if device.type != "cuda":
        return Where(**{kind: host})
    if kind == "python":
        return Where(python=host)
    return Where(**{kind: event.self_device_time_total / 1000}).plus(Where(python=host))


@contextlib.contextmanager
def _ranges(network: nn.Module) -> Iterator[None]:
    """A range around the forward pass of every block."""
    entered: list[record_function] = []

    def hooks_of(name: str) -> tuple[Callable[..., None], Callable[..., None]]:
        def before(_module: nn.Module, _args: Any) -> None:
            entered.append(record_function(f"{BLOCK}{name}"))
            entered[-1].__enter__()

        def after(_module: nn.Module, _args: Any, _output: Any) -> None:
            entered.pop().__exit__(None, None, None)

        return before, after

    with contextlib.ExitStack() as hooks:
        for name, module in places(network).items():
            if isinstance(module, Block):
                before, after = hooks_of(name)
                hooks.enter_context(module.register_forward_pre_hook(before, prepend=True))
                hooks.enter_context(module.register_forward_hook(after))
        yield
