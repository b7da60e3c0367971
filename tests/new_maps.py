"""Which operations allocate tensors of at least the size of a map, and how much a backward pass keeps."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Watch(TorchDispatchMode):
    def __init__(self, least: int):
        super().__init__()
        self.least, self.found = least, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = {_memory(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        output = function(*args, **(kwargs or {}))
        for x in tree_leaves(output):
            if isinstance(x, Tensor) and x.untyped_storage().nbytes() >= self.least and _memory(x) not in given:
                self.found.append(function.overloadpacket.__name__)
        return output


def _memory(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def new_maps(run: Callable[[], object], like: Tensor) -> list[str]:
    """The name of the operation for every new tensor that is as large as a map, in order."""
    with _Watch(like.untyped_storage().nbytes()) as watch:
        run()
    return watch.found


def kept_bytes(run: Callable[[], object], existing: Iterable[Tensor]) -> int:
    """How many bytes autograd keeps for the backward pass of a call, without those of tensors that exist anyway."""
    known, kept = {_memory(x) for x in existing}, {}

    def note(tensor: Tensor) -> Tensor:
        kept[_memory(tensor)] = 0 if _memory(tensor) in known else tensor.untyped_storage().nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        run()
    return sum(kept.values())
