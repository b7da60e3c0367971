"""The input that a network is exported at, if the caller gives none."""

import torch
from torch import Tensor, nn

from wholeframe.deploy.stated import header_of
from wholeframe.models.origin import origin_of
from wholeframe.models.usual_input import usual_size
from wholeframe.surgery.detectors import is_detector

DETECTED = (3, 480, 640)
"""of an image for a detector"""


def default_example(network: nn.Module) -> Tensor:
    """A random input of the size of its file, or that the network was published with, else an image of 224 x 224."""
    shape = sample_of(network)
    batch = () if is_detector(network) else (1,)
    x = torch.randn((*batch, *shape), generator=torch.Generator().manual_seed(0))
    weight = next((p for p in network.parameters() if p.is_floating_point()), x)
    return x.sigmoid() if is_detector(network) else x.to(weight.dtype)


def sample_of(network: nn.Module) -> tuple[int, ...]:
    """The shape of one sample of the network."""
    return tuple(getattr(header_of(network), "input", None) or usual_size(network, origin_of(network)) or DETECTED)
