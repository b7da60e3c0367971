"""The one question before a block reads the weights of its layers instead of calling them: are the layers as built?

Fused paths merge a layer with the products around it, and so read `layer.weight`. An adapter, a parametrisation, a
pruning mask, a quantised layer or a hook acts when its layer is called, so a block calls a layer that is not plain.
"""

from torch import Tensor, nn
from torch._subclasses import FakeTensor  # the weights of a network that is exported or sized without memory

from wholeframe.blocks.grouped import GroupedLinear

LAYERS = {nn.Linear, nn.Conv1d, nn.BatchNorm1d, nn.SyncBatchNorm, nn.GroupNorm, nn.LayerNorm, GroupedLinear}
WEIGHTS = {nn.Parameter, Tensor, nn.Buffer, FakeTensor, type(None)}


def plain(*layers: nn.Module | None) -> bool:
    """Whether every layer computes what its weights say: its class is exactly a known one or one of this package, its
    weight is an ordinary tensor, and neither a hook nor a replaced `forward` acts on its call.

    A block without some layer gives None for it.
    """
    for layer in layers:
        if layer is None:
            continue
        kind, own = type(layer), layer.__dict__  # read directly: every block asks at every call
        if kind not in LAYERS and not kind.__module__.startswith("wholeframe.blocks."):
            return False
        if own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"] or own["_backward_pre_hooks"]:
            return False
        parameters = own["_parameters"]
        weight = parameters["weight"] if "weight" in parameters else getattr(layer, "weight", None)
        if "forward" in own or type(weight) not in WEIGHTS:
            return False
    return True


def refuse_changed(block: nn.Module) -> None:
    """Refuse to reset a block one of whose layers does not own its weight, which another module or tool computes."""
    for name, layer in block.named_children():
        part_of_ours = type(layer).__module__.startswith("wholeframe.") and not hasattr(layer, "weight")
        if not part_of_ours and "weight" not in layer._parameters and "weight" not in layer._buffers:
            raise ValueError(
                f"{name} of {type(block).__name__} is a {type(layer).__name__} whose weight is computed, replaced or "
                "quantised, so the initial state cannot be set; reset the block before the tool changes its layers"
            )
