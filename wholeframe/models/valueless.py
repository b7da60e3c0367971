"""Run a network on tensors that have shapes and no values: nothing is computed, nothing is changed."""

import contextlib
import copy
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensor, FakeTensorMode
from torch.utils import _pytree as pytree

from wholeframe.surgery.probe import Call

Found = TypeVar("Found")


class Valueless:
    """A network with its input, and a copy of both without values.

    Where the copy does not run, because the forward pass reads values (as the heads of a detector do), the network
    itself runs, or an ordinary copy of it.
    """

    def __init__(self, network: nn.Module, call: Call):
        self.network, self.call = network, call
        self.has_values = True
        self.shadow: tuple[nn.Module, Call] | None = None
        self.mode: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        tensors = [*network.parameters(), *network.buffers(), *pytree.tree_leaves(tuple(call))]
        if any(isinstance(t, FakeTensor) or (isinstance(t, Tensor) and t.is_meta) for t in tensors):
            self.has_values = False
            return
        with contextlib.suppress(Exception):  # of any kind: anything may be an attribute of a module
            mode = FakeTensorMode()
            with FakeCopyMode(mode):
                shadow = copy.deepcopy(network)
            self.shadow = shadow, Call(*pytree.tree_map_only(Tensor, mode.from_tensor, tuple(call)))
            self.mode = mode

    def run(self, measure: Callable[[nn.Module, Call], Found], *, changes: bool) -> Found:
        """What `measure` finds.

        Args:
            measure: runs the network that it is given.
            changes: whether it changes running statistics, so that a network with values must be copied first.
        """
        if self.shadow is not None:
            with contextlib.suppress(Exception), self.mode:  # What is wrong with the input is raised again below.
                return measure(*self.shadow)
        if not changes or not self.has_values:
            return measure(self.network, self.call)
        devices = {parameter.device for parameter in self.network.parameters() if parameter.is_cuda}
        with torch.random.fork_rng(list(devices)):
            return measure(copy.deepcopy(self.network), self.call)
