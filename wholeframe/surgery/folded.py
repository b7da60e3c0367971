"""The modules of a fused network: what takes the place of a folded norm, and what refuses to train."""

from collections.abc import Mapping
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
        self.register_load_state_dict_pre_hook(_refuse_unfused)

    def train(self, mode: bool = True) -> "Folded":
        if mode:
            raise ValueError(NO_TRAINING)
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        return then_children(self, x)


def _refuse_unfused(_folded: Folded, state: Mapping[str, Any], prefix: str, *_: Any) -> None:
    """Weights of a network with norms would replace folded ones, and the norms would be left out."""
    if f"{prefix}running_mean" in state or f"{prefix}weight" in state:
        raise ValueError(
            f"the weights have {prefix.removesuffix('.')!r}, which is folded in this network; load them into the "
            "network before `wf.fuse`, and fuse that"
        )


class InferenceOnly(NamelessHook):
    """The forward hook of a fused network, which refuses training mode."""

    def __call__(self, network: nn.Module, _args: Any) -> None:
        if network.training:
            raise ValueError(NO_TRAINING)


def is_fused(network: nn.Module) -> bool:
    """Whether the network, or a part of it, is fused for inference."""
    return any(isinstance(hook, InferenceOnly) for m in network.modules() for hook in m._forward_pre_hooks.values())
