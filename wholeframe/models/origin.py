"""Where a network comes from: a library, a name and arguments, as data.

    origin_of(wf.create_model("r50_gc", 10))  ->  Origin("wholeframe", "r50_gc", {"num_classes": 10})

The origin is a plain attribute of the network, so copies and pickles keep it, and the state dict does not have it.
`wholeframe.models.rebuild` makes the same network again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

Library = Literal["wholeframe", "torchvision", "timm"]
ATTRIBUTE = "_wholeframe_origin"
HEADER = "_wholeframe_header"
"""The attribute with the header of the file that a network was loaded from (`wholeframe.store.header`)."""


@dataclass(frozen=True)
class Origin:
    """How a network is built, before other blocks are inserted.

    Args:
        library: that has the network.
        name: of the network there: for `"wholeframe"` a name of `wholeframe models`, a small backbone of `compare`, or
            `"VideoResNet"`.
        arguments: of its function, in types that JSON has; `weights` and `pretrained` are not among them.
        replaced: modules that become `nn.Identity` once it is built, such as attention that blocks take the place of.
    """

    library: Library
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    replaced: tuple[str, ...] = ()

    def __str__(self) -> str:
        given = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.library}/{self.name}({given})"


def origin_of(network: nn.Module) -> Origin | None:
    """The origin that the network was built with, or None if it was built elsewhere."""
    return network.__dict__.get(ATTRIBUTE)


def with_origin(network: nn.Module, origin: Origin) -> nn.Module:
    """The same network, which now has this origin."""
    network.__dict__[ATTRIBUTE] = origin
    return network
