"""Whether the network that a file describes computes what the given one computes."""

from torch import Tensor, nn

from wholeframe.messages import listed
from wholeframe.store.origins import ADVICE
from wholeframe.surgery.placement import NamelessHook
from wholeframe.surgery.probe import Call, cannot_show_a_change, deviation, outputs

TOLERANCE = 1e-5
"""The largest error of the rebuilt network's output, relative to the largest output, that kernels may round by."""


def prove(network: nn.Module, again: nn.Module, call: Call, before: list[Tensor]) -> tuple[float, str | None]:
    """The largest difference of the output between the network and the one that a file describes.

    Raises:
        ValueError: for one that is larger than rounding.
    """
    after = outputs(again, call)
    gap = deviation(before, after)
    largest = max((t.detach().double().abs().nan_to_num(0, 0, 0).max().item() for t in before if t.numel()), default=0)
    if gap > TOLERANCE * max(largest, 1e-12):
        hooks = [name for name, m in network.named_modules() if _other_hooks(m)]
        cause = (
            f"the hooks at {listed(map(repr, hooks))} are not part of a file; remove them"
            if hooks
            else (
                "an attribute or a method that was changed once the network was built is not part of a file; undo it, "
                f"or {ADVICE}"
            )
        )
        raise ValueError(
            f"the network that the file describes has another output (difference {gap:.2g}, largest output "
            f"{largest:.2g}): {cause}"
        )
    return gap, cannot_show_a_change(before)


def _other_hooks(module: nn.Module) -> bool:
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return any(not isinstance(hook, NamelessHook) for hook in hooks)
