"""Places in the input, against what moves there: the gradient of one cell of a linear network with positive weights.

With equal weights, the centre of the pixels with a gradient is the centre of what the cell sees. Inputs are large and
cells are taken from the middle, so that no window is cut at a border.
"""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

import wholeframe as wf
from wholeframe.explain.frame import Frame
from wholeframe.explain.places import Root, root_place
from wholeframe.explain.tracker import Tracker


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def ones(layer):
    """The layer with weights of one and no bias: each output is a sum over its window."""
    nn.init.ones_(layer.weight)
    return layer


def conv(rank, channels=(1, 1), **options):
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[rank]
    return ones(kind(*channels, bias=False, **options))


def place_in(network, x):
    """The output for x, which has a gradient, and its frame."""
    size = tuple(x.shape[2:])
    with Tracker() as tracker:
        tracker.mark(x, root_place(Root((Frame.whole(size),), size), x.shape, range(2, x.ndim)))
        y = network(x)
        place = tracker.place(y)
    located = None if place is None else place.located()
    return y, None if located is None else located.frames


def seen_from(network, x, cell):
    """The centre of the pixels that move the output at a cell, weighed by their gradient."""
    x = x.detach().clone().requires_grad_()
    y = network(x)
    y.sum(dim=(0, 1))[tuple(cell)].backward()
    weights = x.grad.sum(dim=(0, 1))
    ticks = torch.meshgrid(*(torch.arange(n) + 0.5 for n in weights.shape), indexing="ij")
    return [float((weights * tick).sum() / weights.sum()) for tick in ticks]


def windows(x, s):
    """The windows of Swin: (b, c, h, w) to (b * windows, s * s, c)."""
    b, c, h, w = x.shape
    return x.permute(0, 2, 3, 1).view(b, h // s, s, w // s, s, c).transpose(2, 3).reshape(-1, s * s, c)


def from_windows(y, s, shape):
    b, c, h, w = shape
    return y.view(b, h // s, w // s, s, s, c).transpose(2, 3).reshape(b, h, w, c).permute(0, 3, 1, 2)


def shifted(x):
    """Attention within shifted windows, here a product that keeps every token."""
    moved = x.roll((-2, -1), dims=(2, 3))
    tokens = windows(moved, 4)
    tokens = torch.eye(16, dtype=x.dtype).expand(len(tokens), -1, -1) @ tokens
    return from_windows(tokens, 4, x.shape).roll((2, 1), dims=(2, 3)) + x


def merged(x):
    """The patch merging of Swin: 2 x 2 cells become channels, and a linear layer mixes them."""
    x = x.permute(0, 2, 3, 1)
    parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
    return (torch.cat(parts, dim=-1) @ torch.ones(4 * x.shape[-1], 1, dtype=x.dtype)).permute(0, 3, 1, 2)


def merged_by_view(x):
    """The same, as timm writes it."""
    b, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5).flatten(3)
    return F.linear(x, torch.ones(1, 4 * c, dtype=x.dtype)).permute(0, 3, 1, 2)


def with_class_token(x):
    """Tokens behind a class token through a layer, as in a vision transformer, and back without it."""
    tokens = torch.cat([x.new_ones(x.shape[0], 1, x.shape[1]), x.flatten(2).transpose(1, 2)], dim=1)
    tokens = tokens + F.linear(tokens, torch.ones(x.shape[1], x.shape[1], dtype=x.dtype))
    return tokens[:, 1:].transpose(1, 2).unflatten(2, x.shape[2:])


def self_attention(x):
    """Tokens that attend to themselves alone."""
    tokens = x.flatten(2).transpose(1, 2)
    near = torch.eye(tokens.shape[1], dtype=x.dtype)[None] * (tokens @ tokens.transpose(1, 2)).detach().clamp(min=1)
    return (near @ tokens).transpose(1, 2).unflatten(2, x.shape[2:])


def gated(x):
    return x.mean(dim=(2, 3), keepdim=True).detach() * x


def pooled_gate(x):
    return F.adaptive_avg_pool2d(x, 1).detach().sigmoid() * x


def focused(x):
    return torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], dim=1)


IMAGE, CLIP, SIGNAL = (1, 1, 64, 48), (1, 1, 16, 32, 32), (1, 1, 96)

NETWORKS = {
    "resnet": (
        IMAGE,
        lambda: nn.Sequential(
            conv(2, kernel_size=7, stride=2, padding=3),
            nn.AvgPool2d(3, 2, 1),
            conv(2, kernel_size=3, stride=2, padding=1),
        ),
    ),
    "stride 3, kernel 5, no padding": (IMAGE, lambda: conv(2, kernel_size=5, stride=3)),
    "even kernel": (IMAGE, lambda: conv(2, kernel_size=4, stride=2, padding=1)),
    "rows and columns differ": (
        IMAGE,
        lambda: conv(2, kernel_size=(5, 3), stride=(4, 1), padding=(1, 0), dilation=(1, 3)),
    ),
    "dilation": (IMAGE, lambda: conv(2, kernel_size=3, padding=5, dilation=4, stride=2)),
    "padding to one side": (IMAGE, lambda: nn.Sequential(nn.ZeroPad2d((3, 0, 5, 1)), conv(2, kernel_size=3, stride=2))),
    "reflection": (IMAGE, lambda: nn.Sequential(nn.ReflectionPad2d((2, 4, 3, 1)), conv(2, kernel_size=3))),
    "patches": (IMAGE, lambda: conv(2, kernel_size=8, stride=8)),
    "average pool": (IMAGE, lambda: nn.AvgPool2d(2)),
    "adaptive pool": (IMAGE, lambda: nn.AdaptiveAvgPool2d((8, 12))),
    "transposed": (
        IMAGE,
        lambda: nn.Sequential(conv(2, kernel_size=4, stride=4), ones(nn.ConvTranspose2d(1, 1, 3, 2, 1, bias=False))),
    ),
    "nearest": (IMAGE, lambda: nn.Sequential(nn.AvgPool2d(4), nn.Upsample(scale_factor=3), nn.AvgPool2d(3))),
    "bilinear": (IMAGE, lambda: nn.Sequential(nn.AvgPool2d(4), nn.Upsample(scale_factor=2, mode="bilinear"))),
    "cropped": (IMAGE, lambda: Function(lambda x: F.avg_pool2d(x[:, :, 5:, 3:-4], 2))),
    "one of two": (IMAGE, lambda: Function(lambda x: x[:, :, 1::2, ::3])),
    "channels last": (IMAGE, lambda: Function(lambda x: (x.permute(0, 2, 3, 1) * 2).permute(0, 3, 1, 2)[:, :, 2:])),
    "class token": (IMAGE, lambda: nn.Sequential(conv(2, kernel_size=4, stride=4), Function(with_class_token))),
    "self attention": (IMAGE, lambda: nn.Sequential(conv(2, kernel_size=8, stride=8), Function(self_attention))),
    "shifted windows": (IMAGE, lambda: nn.Sequential(conv(2, kernel_size=4, stride=4), Function(shifted))),
    "rolled": (
        IMAGE,
        lambda: nn.Sequential(Function(lambda x: x.roll((-3, 2), dims=(2, 3))), conv(2, kernel_size=4, stride=2)),
    ),
    "patch merging": (IMAGE, lambda: nn.Sequential(conv(2, kernel_size=4, stride=4), Function(merged))),
    "patch merging by a view": (
        IMAGE,
        lambda: nn.Sequential(conv(2, kernel_size=4, stride=4), Function(merged_by_view)),
    ),
    "focus": (IMAGE, lambda: nn.Sequential(Function(focused), conv(2, (4, 1), kernel_size=3))),
    "unshuffled": (IMAGE, lambda: nn.Sequential(nn.PixelUnshuffle(4), conv(2, (16, 1), kernel_size=1))),
    "gated": (IMAGE, lambda: nn.Sequential(conv(2, kernel_size=3, stride=2), Function(gated), Function(pooled_gate))),
    "flipped": (IMAGE, lambda: nn.Sequential(Function(lambda x: x.flip(3)), conv(2, kernel_size=4, stride=2))),
    "in place": (
        IMAGE,
        lambda: nn.Sequential(conv(2, kernel_size=3, stride=2), Function(lambda x: x.clone().add_(1).mul_(x))),
    ),
    "split and joined": (IMAGE, lambda: Function(lambda x: torch.cat(x[:, :, 3:].split(16, dim=2), dim=2))),
    "unknown operation": (
        IMAGE,
        lambda: nn.Sequential(conv(2, kernel_size=5, stride=4), Function(lambda x: x.lerp(x, 0.5))),
    ),
    "clip": (CLIP, lambda: nn.Sequential(conv(3, kernel_size=(3, 5, 3), stride=(1, 2, 2)), nn.AvgPool3d((2, 1, 1)))),
    "temporal stride": (CLIP, lambda: conv(3, kernel_size=(5, 1, 1), stride=(4, 1, 1), padding=(2, 0, 0))),
    "frames one by one": (
        CLIP,
        lambda: Function(
            lambda x: F.avg_pool2d(x.transpose(1, 2).flatten(0, 1), 2).unflatten(0, (1, 16)).transpose(1, 2)
        ),
    ),
    "every fourth frame": (CLIP, lambda: Function(lambda x: F.avg_pool3d(x[:, :, ::4], (1, 4, 4)))),
    "unbound frames": (CLIP, lambda: Function(lambda x: torch.stack(x.unbind(2)[3:9], dim=2))),
    "signal": (SIGNAL, lambda: nn.Sequential(conv(1, kernel_size=5, stride=2, padding=1), nn.AvgPool1d(3))),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_frame_has_the_centre_of_what_each_cell_sees(name):
    torch.manual_seed(0)
    shape, make = NETWORKS[name]
    network, x = make().double(), torch.rand(shape, dtype=torch.float64)
    with torch.no_grad():
        y, frames = place_in(network, x)
    assert frames is not None, "the place is lost"
    grid = tuple(y.shape[2:])
    first = tuple(n // 2 for n in grid)
    for cell in (
        first,
        *(tuple(at + (k == axis) for k, at in enumerate(first)) for axis in range(len(grid)) if grid[axis] > 2),
    ):
        assert frames[0].centre(cell, grid) == pytest.approx(seen_from(network, x, cell), abs=1e-6)


class Until(nn.Module):
    """A network up to one module, with positive weights, without norms, and with means in place of maxima."""

    def __init__(self, network, name):
        super().__init__()
        self.network, self.seen = network.double().eval(), []
        for parent in list(network.modules()):
            for child, layer in parent.named_children():
                if isinstance(layer, nn.MaxPool2d | nn.MaxPool3d):
                    means = nn.AvgPool2d if isinstance(layer, nn.MaxPool2d) else nn.AvgPool3d
                    setattr(parent, child, means(layer.kernel_size, layer.stride, layer.padding))
                if isinstance(layer, nn.Conv2d | nn.Conv3d):
                    nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
        network.get_submodule(name).register_forward_hook(lambda _layer, _args, y: self.seen.append(y))

    def forward(self, x):
        self.network(x)
        return self.seen.pop()


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(
    ("make", "name", "shape"),
    [
        (torchvision.models.resnet18, "layer2", (1, 3, 160, 128)),
        (torchvision.models.shufflenet_v2_x0_5, "stage2.1", (1, 3, 160, 192)),
        (torchvision.models.densenet121, "features.transition1", (1, 3, 160, 160)),
        (partial(wf.create_model, "c2d_r18"), "layer1", (1, 3, 16, 96, 96)),
        (partial(wf.create_model, "c2d_r18"), "pool2", (1, 3, 32, 96, 64)),
    ],
)
def test_the_places_of_published_networks(make, name, shape):
    torch.manual_seed(0)
    network, x = Until(make(), name), torch.rand(shape, dtype=torch.float64)
    with torch.no_grad():
        y, frames = place_in(network, x)
    cell = tuple(n // 2 for n in y.shape[2:])
    assert frames[0].centre(cell, y.shape[2:]) == pytest.approx(seen_from(network, x, cell), abs=1e-6)


@pytest.mark.parametrize(
    "lose",
    [
        lambda x: x[:, :, torch.randperm(x.shape[2])],
        lambda x: x.flatten(2).sum(dim=2)[..., None, None].reshape(x.shape[0], -1, 1, 1).expand(-1, -1, 4, 4),
        lambda x: x.transpose(2, 3),
        lambda x: x.as_strided((1, 1, 4, 4), (1, 1, 3, 2)),
    ],
)
def test_a_place_that_is_lost_is_not_made_up(lose):
    assert place_in(Function(lose), torch.rand(IMAGE))[1] is None


def test_nothing_is_kept_of_a_tensor_that_is_gone():
    x = torch.rand(IMAGE)
    with Tracker() as tracker:
        tracker.mark(x, root_place(Root((Frame.whole((64, 48)),), (64, 48)), x.shape, (2, 3)))
        for _ in range(20):
            (x + 1).mul_(2)
    assert len(tracker.places) == 1
