"""Load 2-D weights into a 3-D network: kernels are repeated over time and divided by their number of frames."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from wholeframe.messages import listed, quoted
from wholeframe.surgery.classifier import of_another_width
from wholeframe.surgery.placement import in_block


@dataclass(frozen=True)
class Inflated:
    """What `inflate` did, as state-dict keys of the 3-D network."""

    repeated: tuple[str, ...]
    """kernels that gained a temporal axis of more than one frame"""
    copied: tuple[str, ...]
    """all other tensors that were loaded"""
    fresh: tuple[str, ...]
    """tensors that were not loaded: inserted blocks, and layers of another number of classes"""
    source: str = ""
    """which state dict of a file was taken, and without which prefix of its keys; empty for one alone"""

    def __str__(self) -> str:
        blocks = [key for key in self.fresh if in_block(key)]
        other = [key for key in self.fresh if not in_block(key)]
        left = f", {len(other)} not loaded: {quoted(other)}" if other else ""
        new = f", {len(blocks)} of inserted blocks not loaded: {listed(map(repr, blocks))}" if blocks else ""
        source = f"{self.source}: " if self.source else ""
        return f"{source}{len(self.repeated)} kernels repeated over time, {len(self.copied)} tensors copied{left}{new}"


def inflate(network: nn.Module, parent: Mapping[str, Tensor]) -> Inflated:
    """Load a 2-D state dict into a 3-D network with the same module names.

        w3[:, :, t] = w2 / k    for each of the k frames of a kernel

    On a clip of one repeated frame every map then equals the parent's, except where a kernel reaches the zero padding
    beyond the first and the last frame. Norms are copied.

    `VideoResNet` has the module names of torchvision's ResNet:

        inflate(VideoResNet.like("slowfast", "i3d", 50), torchvision.models.resnet50(weights="DEFAULT").state_dict())

    Source: Wang et al., CVPR 2018, section 4; Carreira & Zisserman, CVPR 2017. The released code, PySlowFast and
    MMAction2 agree.

    Args:
        network: changed in place. Inserted blocks that the parent does not have keep their weights, and so do the
            layers of another number of classes, and the classifier that the parent lacks. Batch norms must be
            trainable: call `freeze_norms` after `inflate`, not before.
        parent: the 2-D state dict.

    Returns:
        The keys that were repeated over time, copied and not loaded.

    Raises:
        ValueError: if any other key is missing, unknown or of another shape; the network is then unchanged.
    """
    child = network.state_dict()
    fresh = {key for key in child if in_block(key) and key not in parent}
    fresh |= _classifier(network, parent)
    _same_names(child.keys() - fresh, parent.keys() - fresh)
    loaded = {key: _over_time(key, parent[key], child[key]) for key in child if key not in fresh}
    repeated = [key for key, weight in loaded.items() if weight.ndim == parent[key].ndim + 1 and weight.shape[2] > 1]
    network.load_state_dict(loaded, strict=False)
    return Inflated(
        repeated=tuple(repeated),
        copied=tuple(key for key in loaded if key not in repeated),
        fresh=tuple(key for key in child if key in fresh),
    )


def _over_time(key: str, weight: Tensor, like: Tensor) -> Tensor:
    """The weight itself, or repeated along a new temporal axis after its channels."""
    if weight.shape == like.shape:
        return weight
    if like.ndim == 5 and weight.shape == (*like.shape[:2], *like.shape[3:]):
        return (weight / like.shape[2]).unsqueeze(2).expand_as(like)
    raise ValueError(
        f"{key!r} has shape {tuple(weight.shape)} in the parent, and {tuple(like.shape)} in the network: "
        "the two differ by more than a temporal axis; take a parent of the same depth and widths"
    )


def _classifier(network: nn.Module, parent: Mapping[str, Tensor]) -> set[str]:
    """The keys of the layers with another number of classes in the parent, or of a classifier that it lacks."""
    shapes = {key.removesuffix(".weight"): value.shape for key, value in parent.items() if key.endswith(".weight")}
    changed = of_another_width(network, shapes)
    return {f"{name}.{key}" for name in changed for key in network.get_submodule(name).state_dict()}


def _same_names(child: set[str], parent: set[str]) -> None:
    missing, unknown = sorted(child - parent), sorted(parent - child)
    if missing or unknown:
        sentences = [f"the parent lacks {quoted(missing[:3])}"] if missing else []
        sentences += [f"the network has no {quoted(unknown[:3])}"] if unknown else []
        raise ValueError(
            f"these weights are of another network: {' and '.join(sentences)} "
            f"({len(missing)} missing, {len(unknown)} unknown); take one of the same depth"
        )
