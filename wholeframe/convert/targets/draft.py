"""What a target makes of a network, before it is proved: their tensors, and the options that read them again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from wholeframe.convert.rename import exchanged
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import listed, quoted
from wholeframe.surgery.placement import CHILD
from wholeframe.surgery.record import blocks_of


@dataclass(frozen=True)
class Draft:
    """A network in another repository's names.

    Args:
        state: their tensors by their names.
        source: that reads such files.
        options: of its plan, for what the tensors do not show.
        entries: what the file has apart from the tensors, `{}` for tensors alone.
        key: of the tensors in the file, where it has other entries.
        image: an input on which both networks must give the same, where the backbone there is of another class, so that
            its modules cannot be compared; None to compare them.
    """

    state: Mapping[str, Tensor]
    source: WholeSource
    options: Mapping[str, Any] = field(default_factory=dict)
    entries: Mapping[str, Any] = field(default_factory=dict)
    key: str = "state_dict"
    image: Tensor | None = None

    def content(self) -> dict[str, Any]:
        """What the file holds."""
        return {**self.entries, self.key: dict(self.state)} if self.entries else dict(self.state)


def blocks_by_site(network: nn.Module) -> dict[str, nn.Module]:
    """The inserted blocks of a network by their sites.

    Raises:
        ValueError: for blocks that no longer run, and for maps in another layout than `(b, c, *grid)`.
    """
    found: dict[str, nn.Module] = {}
    for placement in blocks_of(network):
        if not placement.attached:
            raise ValueError(
                f"the block at {placement.site!r} no longer runs; `wf.verify(network)` says why, and "
                "`wf.remove(network)` forgets it"
            )
        if placement.layout.axes != "channels_first" or placement.output is not None:
            raise ValueError(
                f"the block at {placement.site!r} reads its map as {placement.layout}, and the blocks of other "
                "repositories read (b, c, *grid); only networks of such maps are written"
            )
        found[placement.site] = network.get_submodule(f"{placement.site}.{CHILD}")
    return found


def their_state(
    network: nn.Module, names: Mapping[str, str], ranks: Mapping[str, int], target: str
) -> dict[str, Tensor]:
    """All tensors of a network by their names there.

    Args:
        network: ours.
        names: prefixes of ours -> prefixes of theirs; a `*` is a number.
        ranks: prefixes of ours -> the number of axes of one that follow the two of a linear layer, or the single one of
            a norm: 2 for a convolution over images.
        target: in the words of the message.

    Raises:
        ValueError: for tensors that have no name there.
    """
    state: dict[str, Tensor] = {}
    without: list[str] = []
    for name, tensor in network.state_dict().items():
        found = (other for ours, theirs in names.items() if (other := exchanged(name, ours, theirs)) is not None)
        if (key := next(found, None)) is None:
            without.append(name)
            continue
        axes = next((rank for ours, rank in ranks.items() if exchanged(name, ours, "") is not None), 0)
        state[key] = tensor.reshape(*tensor.shape, *[1] * axes) if tensor.ndim else tensor
    if without:
        raise ValueError(f"{target} has no place for {listed(map(repr, without), most=3)}")
    return state


def residuals(network: nn.Module, stage: int) -> list[Any]:
    """The residual blocks of a stage, which is 1 for `layer1`."""
    return list(network.get_submodule(f"layer{stage}").children())


def same_for_all(values: Iterable[Any], what: str, target: str) -> Any:
    """The value that all blocks share.

    Raises:
        ValueError: for blocks that differ, where the target has one value for all of them.
    """
    found = list(dict.fromkeys(values))
    if len(found) > 1:
        raise ValueError(f"{target} has one {what} for all blocks, and these have {quoted(found)}")
    return found[0] if found else None
