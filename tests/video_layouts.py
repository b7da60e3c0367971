"""Files of video networks in the layouts of other repositories, and what such a network computes, from the spec.

Nothing here calls the package: the names come from the repositories, and the forward pass is written with
`torch.nn.functional`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

COUNTS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}
TORCH = {"weight": ".weight", "bias": ".bias", "mean": ".running_mean", "var": ".running_var"}
CAFFE2 = {"weight": "_s", "bias": "_b", "mean": "_rm", "var": "_riv"}


@dataclass(frozen=True)
class Layout:
    """The names of a repository: `name(part, stage, index, n)` is a prefix.

    The parts are conv1, bn1, conv and bn (with n), shortcut and shortcut_bn, theta, phi, g, out and nl_bn, and fc.
    """

    name: Callable[..., str]
    norm: Mapping[str, str] = field(default_factory=lambda: TORCH)
    layer: Mapping[str, str] = field(default_factory=lambda: {"weight": ".weight", "bias": ".bias"})


def uniform(*shape):
    """Numbers between 0 and 1 that repeat after 65537: many random numbers take longer than the test."""
    count = math.prod(shape)
    return torch.rand(65537).repeat(count // 65537 + 1)[:count].reshape(shape).clone()


@dataclass(frozen=True)
class Network:
    """A network: which blocks have a temporal kernel and which have a non-local block after them, strides and pools.

    `geometry` is (conv1 stride, pool1, pool1 stride, pool1 padding, pool2).
    """

    layout: Layout
    geometry: tuple
    depth: int = 18
    time: int = 5
    inflated: tuple = ((1,) * 9, (1, 0) * 9, (1, 0) * 9, (0, 1) * 9)
    style: str = "3x1x1"
    blocks: tuple = ((3, 1),)
    classes: int = 5
    affine: bool = False
    block_bn: bool = True
    out_bias: bool = True
    mode: str = "embedded_gaussian"
    scaled: bool = True
    pooled: str = "before"
    groups: Mapping[int, int] = field(default_factory=dict)

    @property
    def bottleneck(self):
        return self.depth >= 50

    def convolutions(self, stage, index):
        """(width in, width out, kernel) of each convolution of a residual block."""
        width, expansion = 32 << (stage - 1), 4 if self.bottleneck else 1
        before = (width // 2 * expansion if stage > 2 else 64) if index == 0 else width * expansion
        time = 3 if self.inflated[stage - 2][index] else 1
        if self.bottleneck:
            first, second = (1, time) if self.style == "3x3x3" else (time, 1)
            return [(before, width, (first, 1, 1)), (width, width, (second, 3, 3)), (width, width * 4, (1, 1, 1))]
        return [(before, width, (time, 3, 3)), (width, width, (time if self.style == "two 3x3x3" else 1, 3, 3))]

    def state(self):
        """Random tensors under the names of the repository."""
        found, name = {}, self.layout.name

        def conv(prefix, before, after, kernel, bias=False):
            fan = before * kernel[0] * kernel[1] * kernel[2]
            found[prefix + self.layout.layer["weight"]] = (uniform(after, before, *kernel) - 0.5) * (12 / fan) ** 0.5
            if bias:
                found[prefix + self.layout.layer["bias"]] = torch.rand(after) - 0.5

        def norm(prefix, width, affine=False):
            found[prefix + self.layout.norm["weight"]] = torch.rand(width) + 0.5
            found[prefix + self.layout.norm["bias"]] = torch.rand(width) - 0.5
            if not affine:
                found[prefix + self.layout.norm["mean"]] = torch.rand(width) - 0.5
                found[prefix + self.layout.norm["var"]] = torch.rand(width) + 0.5

        conv(name("conv1"), 3, 64, (self.time, 7, 7))
        norm(name("bn1"), 64, self.affine)
        width = 64
        for stage, count in enumerate(COUNTS[self.depth], 2):
            for index in range(count):
                layers = self.convolutions(stage, index)
                for n, (before, after, kernel) in enumerate(layers, 1):
                    conv(name("conv", stage, index, n), before, after, kernel)
                    norm(name("bn", stage, index, n), after, self.affine)
                before, width = layers[0][0], layers[-1][1]
                if index == 0 and (stage > 2 or before != width):
                    conv(name("shortcut", stage, index), before, width, (1, 1, 1))
                    norm(name("shortcut_bn", stage, index), width, self.affine)
                if (stage, index) in self.blocks:
                    if self.mode != "gaussian":
                        conv(name("theta", stage, index), width, width // 2, (1, 1, 1), bias=True)
                        conv(name("phi", stage, index), width, width // 2, (1, 1, 1), bias=True)
                    conv(name("g", stage, index), width, width // 2, (1, 1, 1), bias=True)
                    conv(name("out", stage, index), width // 2, width, (1, 1, 1), bias=self.out_bias)
                    if self.block_bn:
                        norm(name("nl_bn", stage, index), width)
        found[name("fc") + self.layout.layer["weight"]] = (uniform(self.classes, width) - 0.5) / width**0.5
        found[name("fc") + self.layout.layer["bias"]] = torch.rand(self.classes) - 0.5
        return found

    def __call__(self, state, clip):
        """Logits of a clip, in evaluation."""
        name, layer, suffix = self.layout.name, self.layout.layer, self.layout.norm

        def conv(x, prefix, stride=(1, 1, 1)):
            weight = state[prefix + layer["weight"]]
            padding = tuple(size // 2 for size in weight.shape[2:])
            return F.conv3d(x, weight, state.get(prefix + layer["bias"]), stride, padding)

        def norm(x, prefix):
            weight, bias = (state[prefix + suffix[part]] for part in ("weight", "bias"))
            if prefix + suffix["mean"] not in state:
                return x * weight[:, None, None, None] + bias[:, None, None, None]
            return F.batch_norm(x, state[prefix + suffix["mean"]], state[prefix + suffix["var"]], weight, bias)

        def non_local(x, stage, index):
            groups = self.groups.get(stage, 1)
            if groups > 1:
                frames = x.chunk(groups, dim=2)
                return torch.cat([non_local_of(part, stage, index) for part in frames], dim=2)
            return non_local_of(x, stage, index)

        def non_local_of(x, stage, index):
            def pool(y):
                return F.max_pool3d(y, (1, 2, 2))

            def keys(part):
                if self.pooled == "before":
                    return conv(pool(x), name(part, stage, index))
                y = conv(x, name(part, stage, index))
                return pool(y) if self.pooled == "after" else y

            if self.mode == "gaussian":
                theta, phi = x.flatten(2), (pool(x) if self.pooled else x).flatten(2)
            else:
                theta, phi = conv(x, name("theta", stage, index)).flatten(2), keys("phi").flatten(2)
            g = keys("g").flatten(2)
            logits = theta.transpose(1, 2) @ phi
            scale = theta.shape[1] ** -0.5 if self.scaled else 1
            weights = logits / phi.shape[2] if self.mode == "dot_product" else (logits * scale).softmax(2)
            y = (g @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
            y = conv(y, name("out", stage, index))
            return x + (norm(y, name("nl_bn", stage, index)) if self.block_bn else y)

        conv1_stride, pool1, pool1_stride, pool1_padding, pool2 = self.geometry
        x = F.relu(norm(conv(clip, name("conv1"), conv1_stride), name("bn1")))
        x = F.max_pool3d(x, pool1, pool1_stride, pool1_padding)
        for stage, count in enumerate(COUNTS[self.depth], 2):
            for index in range(count):
                step = (1, 2, 2) if stage > 2 and index == 0 else (1, 1, 1)
                y, last = x, len(self.convolutions(stage, index))
                strided = 2 if self.bottleneck else 1
                for n in range(1, last + 1):
                    y = conv(y, name("conv", stage, index, n), step if n == strided else (1, 1, 1))
                    y = norm(y, name("bn", stage, index, n))
                    y = F.relu(y) if n < last else y
                if name("shortcut", stage, index) + layer["weight"] in state:
                    x = norm(conv(x, name("shortcut", stage, index), step), name("shortcut_bn", stage, index))
                x = F.relu(x + y)
                if (stage, index) in self.blocks:
                    x = non_local(x, stage, index)
            if stage == 2 and pool2:
                x = F.max_pool3d(x, (2, 1, 1), (2, 1, 1))
        return F.linear(
            x.mean((2, 3, 4)), state[name("fc") + layer["weight"]].flatten(1), state[name("fc") + layer["bias"]]
        )


SLOWFAST = (1, 2, 2), (1, 3, 3), (1, 2, 2), (0, 1, 1), 2
MMACTION2 = (2, 2, 2), (1, 3, 3), (2, 2, 2), (0, 1, 1), 2
NOPOOL = (1, 2, 2), (1, 3, 3), (1, 2, 2), (0, 1, 1), None
CAFFE2_ORG = (2, 2, 2), (2, 3, 3), (2, 2, 2), (0, 0, 0), 2
CAFFE2_8X8 = (1, 2, 2), (1, 3, 3), (1, 2, 2), (0, 0, 0), 2
