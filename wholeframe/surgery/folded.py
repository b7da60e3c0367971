"""The modules of a fused network: what takes the place of a folded norm, and what refuses to train."""

from typing import Any

from torch import Tensor, nn

from wholeframe.surgery.activated import own_children, then_children
from wholeframe.surgery.placement import NamelessHook

NO_TRAINING = (
    "this network is fused for inference, its batch norms are part of the layers before them, and it cannot train; "
    "train the network from before `wf.fuse`, and fuse that again"
)


class Folded(nn.Module):
    """y = f(x) in the place of a norm that another layer computes; f is what the norm has inside, such as timm's
    activation, or nothing."""

    def __init__(self, norm: nn.Module):
        super().__init__()
        for name, child in own_children(norm).items():
            self.add_module(name, child)
        self.training = False

    def train(self, mode: bool = True) -> "Folded":
        if mode:
            raise ValueError(NO_TRAINING)
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        return then_children(self, x)


class InferenceOnly(NamelessHook):
    """The forward hook of a fused network, which refuses training mode."""

    def __call__(self, network: nn.Module, _args: Any) -> None:
        if network.training:
            raise ValueError(NO_TRAINING)
