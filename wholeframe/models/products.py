"""The multiply-adds of a forward pass, module by module: convolutions, products of matrices, attention.

A block counts as its definition (`Block.multiply_adds`), whichever backend runs it. Everything else is counted while it
runs, by torch's `FlopCounterMode` with formulas for the operations that it does not count.
"""

import contextlib
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torchvision  # noqa: F401, it registers its deformable convolution with torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry, sdpa_flop_count

from wholeframe.blocks import Block
from wholeframe.models.running import running
from wholeframe.surgery.probe import Call, evaluating

Shape = Sequence[int]


def _attention(query: Shape, key: Shape, value: Shape, *_: object, **__: object) -> int:
    return sdpa_flop_count(query, key, value)


# torch counts fused attention, but on a CPU only from 2.15 on.
ON_CPU = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}


def _two_vectors(first: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(first)


def _matrix_and_vector(matrix: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(matrix)


def _plus_matrix_and_vector(_added: Shape, matrix: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(matrix)


def _matrices(first: Shape, second: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(first) * second[-1]


def _plus_matrices(_added: Shape, first: Shape, second: Shape, *_: object, **__: object) -> int:
    return 2 * math.prod(first) * second[-1]


def _bilinear(x: Shape, weight: Shape, *_: object, **__: object) -> int:
    """z_k = sum_j (sum_i x_i W_kij) y_j, the two products of `nn.Bilinear`."""
    outputs, _inputs, others = weight
    return 2 * x[0] * (math.prod(weight) + outputs * others)


def _deformable(_x: Shape, weight: Shape, *_: object, out_shape: Shape, **__: object) -> int:
    """A convolution of sampled values. Like other interpolation, the sampling is not counted."""
    samples, _outputs, *grid = out_shape
    return 2 * samples * math.prod(grid) * math.prod(weight)


def _recurrent_layer(x: Shape, of_input: Shape, of_state: Shape, *_: object, **__: object) -> int:
    """One direction of one layer of an LSTM on a CPU: at every step, two products with weights."""
    return 2 * math.prod(x[:-1]) * (math.prod(of_input) + math.prod(of_state))


def _recurrent(x: Shape, weights: Sequence[Shape], *_: object, **__: object) -> int:
    """All layers of a recurrent network on a GPU; its weights of one axis are biases."""
    return 2 * math.prod(x[:-1]) * sum(math.prod(weight) for weight in weights if len(weight) == 2)


FORMULAS: dict[Any, Callable[..., int]] = {
    **ON_CPU,
    torch.ops.aten.dot: _two_vectors,
    torch.ops.aten.vdot: _two_vectors,
    torch.ops.aten.mv: _matrix_and_vector,
    torch.ops.aten.addmv: _plus_matrix_and_vector,
    torch.ops.aten.addbmm: _plus_matrices,
    torch.ops.aten._int_mm: _matrices,
    torch.ops.aten._trilinear: _bilinear,
    torch.ops.aten.mkldnn_rnn_layer: _recurrent_layer,
    torch.ops.aten._cudnn_rnn: _recurrent,
    torch.ops.torchvision.deform_conv2d: _deformable,
}
"""operation -> floating-point operations from the shapes of its arguments, two for each multiply-add"""

OF_TORCH = ("aten", "prim", "prims", "profiler")

# They select or interpolate, which is not counted anywhere.
WITHOUT_PRODUCTS = {"nms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool"}


@dataclass(frozen=True)
class Products:
    """Multiply-adds of every module without those of its parts, by the definition (`ours`) and by torch's counter.

    `unknown` names the operations of other packages that have no formula; `maps` has the shape of what a block reads,
    batch and channels first, at its last run.
    """

    ours: Counter[str] = field(default_factory=Counter)
    torchs: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)
    maps: dict[str, tuple[int, ...]] = field(default_factory=dict)


def products(network: nn.Module, call: Call) -> Products:
    """Run the network once in eval mode, and count.

    torch's counter sees the same pass: its number differs where a block has a faster way than its definition, and
    where an operation has a formula only in `FORMULAS`.
    """
    found, seen = Products(), (0, 0)

    def charge(name: str) -> None:
        nonlocal seen
        now = _counted(counter)
        found.ours[name] += now[0] - seen[0]
        found.torchs[name] += now[1] - seen[1]
        seen = now

    def leave(name: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        nonlocal seen
        before = found.ours[name]
        charge(name)
        if isinstance(module, Block):
            batch, _, *grid = args[0].shape
            found.ours[name] = before + batch * module.multiply_adds(grid)
            found.maps[name] = tuple(args[0].shape)

    with (
        evaluating(network),
        torch.no_grad(),
        _layer_by_layer(),
        warnings.catch_warnings(),
        FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter,
        _Unknown(found.unknown),
        running(network, lambda _name: charge(now.innermost), leave) as now,
    ):
        # The counter has hooks on all modules, which would count those around a compiled network twice; ours do not.
        warnings.filterwarnings("ignore", message="Using `torch.compile.module.` when there are global hooks")
        network(*call.args, **call.kwargs)
        charge("")
    return found


def _counted(counter: FlopCounterMode) -> tuple[int, int]:
    """Multiply-adds until now: with the formulas of this module, and with those of torch alone."""
    flops = counter.flop_counts["Global"]
    return sum(flops.values()) // 2, sum(flops[op] for op in flops if op in flop_registry) // 2


@contextlib.contextmanager
def _layer_by_layer() -> Iterator[None]:
    """torch runs a whole encoder layer as one operation in eval mode, and its counter finds no product in that one."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


class _Unknown(TorchDispatchMode):
    """Collects operations of other packages without a formula, which may have products in them."""

    def __init__(self, names: set[str]):
        super().__init__()
        self.names = names

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = func._overloadpacket
        known = packet in FORMULAS or packet in flop_registry or packet.__name__ in WITHOUT_PRODUCTS
        if func.namespace not in OF_TORCH and not known:
            self.names.add(f"{func.namespace}.{packet.__name__}")
        return func(*args, **(kwargs or {}))
