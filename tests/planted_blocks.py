"""Networks whose non-local block does a known thing: its weights are set by hand, and no training is needed.

The map is the image itself. The block is at the site `stem`, and the head takes the class of every position, or of the
image, from channels that the block adds to.
"""

import torch
from torch import Tensor, nn

from wholeframe.blocks import NonLocal
from wholeframe.surgery.insert import insert

SITE = "stem"


class Planted(nn.Module):
    """A site, and a linear head on every position (`dense`) or on their mean."""

    def __init__(self, channels: int, head: Tensor, dense: bool = True):
        super().__init__()
        self.stem = nn.Conv2d(channels, channels, 1, bias=False)
        self.head = nn.Conv2d(channels, len(head), 1, bias=False)
        with torch.no_grad():
            self.stem.weight.copy_(torch.eye(channels)[..., None, None])
            self.head.weight.copy_(head[..., None, None])
        self.dense = dense

    def forward(self, image: Tensor) -> Tensor:
        logits = self.head(self.stem(image))
        return logits if self.dense else logits.mean(dim=(2, 3))


def planted(network: Planted, theta: Tensor, phi: Tensor, g: Tensor, out: Tensor) -> Planted:
    """The network in float64 with a block of these weights, all without bias."""
    network.double().eval()
    channels = network.stem.out_channels
    insert(
        network,
        lambda c: NonLocal(c, inner=len(theta), norm=None, bias=False, out_bias=False, init="random"),
        SITE,
        torch.zeros(1, channels, 4, 4, dtype=torch.float64),
    )
    block = network.get_submodule(f"{SITE}.wholeframe")
    with torch.no_grad():
        for layer, weight in ((block.theta, theta), (block.phi, phi), (block.g, g), (block.out, out)):
            layer.weight.copy_(weight)
    return network


def row(channels: int, **at: float) -> Tensor:
    """A vector that is zero but at the channels `_0`, `_1`, ..."""
    vector = torch.zeros(channels, dtype=torch.float64)
    for name, value in at.items():
        vector[int(name[1:])] = value
    return vector


def query_per_image() -> Planted:
    """The query is a cue that is the same at all positions of an image: +1 in half of the images, -1 in the others.

    Channels: the cue, which no key sees; the sign of a key, which the cue selects; its content, a random bit of the
    image times that sign; the answer. The block adds the content of the keys that the cue selects, so the class is the
    bit times the cue. Without the cue both signs weigh the same and their contents cancel.
    """
    network = Planted(4, torch.stack([row(4, _3=1.0), row(4, _3=-1.0)]))
    zero = row(4)
    return planted(
        network,
        theta=torch.stack([row(4, _0=4.0), row(4, _1=0.05)]),  # the second is a little noise from the position itself
        phi=torch.stack([row(4, _1=1.0), row(4, _2=1.0)]),
        g=torch.stack([row(4, _2=1.0), zero]),
        out=torch.stack([row(2), row(2), row(2), row(2, _0=1.0)]),
    )


def images_with_a_cue(count: int, seed: int) -> Tensor:
    """Images for `query_per_image`."""
    generator = torch.Generator().manual_seed(seed)
    cue, bit = (1.0 - 2.0 * torch.randint(2, (2, count, 1, 1), generator=generator)).double()
    sign = (torch.rand(count, 64, generator=generator).argsort(dim=1) < 32).view(count, 8, 8) * 2.0 - 1.0
    sign = sign.double() * (1 + 0.1 * torch.rand(count, 8, 8, generator=generator))
    ones = torch.ones(count, 8, 8, dtype=torch.float64)
    return torch.stack([cue * ones, sign, bit * sign, 0 * ones], dim=1)


def majority(preference: float = 0.02) -> Planted:
    """Nearly uniform attention, whose small preference for keys of the query's own colour still moves the mean.

    Channels: the colour of a position, +1 or -1; a constant; the answer, the mean of the colours that the block adds,
    next to a small constant. The mean is a few percent, as are the preferences.
    """
    network = Planted(4, torch.stack([row(4, _2=1.0), row(4, _2=-1.0)]))
    return planted(
        network,
        theta=torch.stack([row(4, _0=preference), row(4)]),
        phi=torch.stack([row(4, _0=1.0), row(4)]),
        g=torch.stack([row(4, _0=1.0), row(4, _1=0.1)]),
        out=torch.stack([row(2), row(2), row(2, _0=1.0), row(2, _1=1.0)]),
    )


def coloured_images(count: int, seed: int) -> Tensor:
    """Images for `majority`: 35 to 37 of the 64 positions have the colour of the majority."""
    generator = torch.Generator().manual_seed(seed)
    many = torch.randint(35, 38, (count, 1), generator=generator)
    major = 1.0 - 2.0 * torch.randint(2, (count, 1), generator=generator)
    place = torch.rand(count, 64, generator=generator).argsort(dim=1)
    colour = torch.where(place < many, major, -major).view(count, 8, 8).double()
    ones = torch.ones_like(colour)
    return torch.stack([colour, ones, 0 * ones, 0 * ones], dim=1)


def constant_query() -> Planted:
    """The query is a constant channel, so the block is a simplified one already; the keys differ."""
    network = Planted(4, torch.stack([row(4, _2=1.0), row(4, _2=-1.0)]))
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 3, 4, generator=generator, dtype=torch.float64)
    return planted(
        network,
        theta=torch.stack([row(4, _1=1.0), row(4, _1=-2.0), row(4, _1=0.5)]),
        phi=weights[0],
        g=weights[1],
        out=weights[2].mT,
    )
