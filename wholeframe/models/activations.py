"""The memory of a forward pass, module by module, in tensors: what training keeps, and the peak of inference.

A storage counts once, with all of its bytes, however many views of it are kept. Parameters, buffers and the input
are not counted: they are there before and after the pass. Space that a kernel takes and gives back within one operation
is not seen; `wholeframe.models.turns` measures it. On tensors without values, CGNL's RBF takes its largest number of
features, which values that are near each other do not need.
"""

import weakref
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from wholeframe.models.running import Running, running
from wholeframe.surgery.probe import Call, evaluating


def kept(network: nn.Module, call: Call) -> Counter[str]:
    """Run the network once in training mode; return the bytes that autograd keeps for the backward pass.

    Each storage belongs to the module that has kept it first: a map that two convolutions read, to the first of them.

    Args:
        network: gets its training flags back, and keeps the running statistics of this pass.
        call: its input.
    """
    given, found, held = _storages(_tensors(network, call)), Counter[str](), dict[int, Tensor]()

    def pack(tensor: Tensor) -> Tensor:
        key = _key(tensor)
        if key is not None and key not in given and key not in held:
            held[key] = tensor  # A storage that is held does not leave its key to another one.
            found[now.innermost] += tensor.untyped_storage().nbytes()
        return tensor

    with (
        evaluating(network),
        torch.enable_grad(),
        running(network) as now,
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        network.train()(*call.args, **call.kwargs)
    return found


def peaks(network: nn.Module, call: Call) -> dict[str, int]:
    """Run the network once in eval mode without gradients; return the most bytes of tensors that exist at one time.

    The number of a module is the maximum over the operations of its own, and includes what other modules hold at that
    time: the largest number is the peak of the network.
    """
    with evaluating(network), torch.no_grad(), running(network) as now, _Alive(now) as alive:
        alive.given = _storages(_tensors(network, call))
        network(*call.args, **call.kwargs)
    return alive.peaks


class _Alive(TorchDispatchMode):
    """Adds the storage of every new tensor, until nothing refers to it."""

    def __init__(self, now: Running):
        super().__init__()
        self.now, self.given = now, set[int]()
        self.sizes: dict[int, int] = {}
        self.peaks: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for leaf in pytree.tree_leaves(output):
            key = _key(leaf) if isinstance(leaf, Tensor) else None
            if key is not None and key not in self.given and key not in self.sizes:
                storage = leaf.untyped_storage()
                self.sizes[key] = storage.nbytes()
                weakref.finalize(storage, self.sizes.pop, key)
        place = self.now.innermost
        self.peaks[place] = max(self.peaks.get(place, 0), sum(self.sizes.values()))
        return output


def _tensors(network: nn.Module, call: Call) -> list[Tensor]:
    leaves = pytree.tree_leaves((call.args, call.kwargs))
    return [*network.parameters(), *network.buffers(), *(leaf for leaf in leaves if isinstance(leaf, Tensor))]


def _storages(tensors: Iterable[Tensor]) -> set[int]:
    return {key for tensor in tensors if (key := _key(tensor)) is not None}


def _key(tensor: Tensor) -> int | None:
    """The identity of a storage; None for a tensor without one, such as a sparse one."""
    return tensor.untyped_storage()._cdata if tensor.layout == torch.strided else None
