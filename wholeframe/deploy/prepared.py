"""A network that is ready for an exporter, and what all exporters share."""

import contextlib
import importlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe.deploy.axes import INPUTS, Free, random_input, reason_of
from wholeframe.deploy.pools import FreePools


@dataclass(frozen=True)
class Prepared:
    """A network and its input, ready for an exporter.

    Args:
        network: a copy in eval mode, on the CPU.
        example: an input of the network.
        free: its free axes.
        outputs: a name for every tensor of the output, in order.
        strings: what the file says of the network.
    """

    network: nn.Module
    example: Tensor
    free: Free
    outputs: tuple[str, ...]
    strings: Mapping[str, str]

    @property
    def input(self) -> str:
        """The name of the input: images, clips or sequences."""
        return INPUTS[self.example.ndim]

    @property
    def traced(self) -> Tensor:
        """The input that an exporter runs: every axis at the largest of its sizes.

        A size of 1 is taken as fixed, also of a map within the network, where a small example has shrunk to one cell.
        """
        return random_input(tuple(map(max, *self.free.shapes)), self.example)


def exported(prepared: Prepared) -> torch.export.ExportedProgram:
    """The network as a graph of torch.export, with its free axes.

    Raises:
        ValueError: if the network has no such graph; the message has the reason of torch.export.
    """
    free = {place: torch.export.Dim.DYNAMIC for place in prepared.free.places}
    with exporting("torch.export"), FreePools():
        return torch.export.export(prepared.network, (prepared.traced,), dynamic_shapes=(free,))


@contextlib.contextmanager
def exporting(exporter: str) -> Iterator[None]:
    """Within this context an exporter works without gradients and warnings, and its errors become one sentence.

    The warnings are about code of the exporter; the comparison at several sizes is what proves a file.
    """
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # every exporter has errors of its own
        raise ValueError(
            f"{exporter} does not export this network ({reason_of(error)}); a network whose control flow depends on "
            "values of its input has no graph, and its backbone may have one"
        ) from error


def needed(module: str, extra: str) -> Any:
    """An optional library.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        found: ModuleType = importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"this format needs {module}, which is not installed; pip install 'wholeframe[{extra}]'"
        ) from error
    return found
