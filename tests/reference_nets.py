"""Blocks and networks of other repositories, with their tensor names, written from their formulas."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet


def randomise(network: nn.Module, image: tuple[int, ...] | None = (2, 3, 64, 64)) -> nn.Module:
    """In eval mode and float64, every tensor drawn at random, so that no branch is silent.

    The statistics of the batch norms are those of one random image, so that no gate is saturated.
    """
    network.double().eval()
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 1 and tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.5, 1.0)
        elif tensor.is_floating_point():
            nn.init.normal_(tensor, 0, tensor[0].numel() ** -0.5)
        elif name.endswith("num_batches_tracked"):
            tensor.zero_()
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the mean over all passes, of which there is one
    if image is not None and norms:
        with torch.no_grad():
            network.train()(torch.randn(image, dtype=torch.float64))
    return network.eval()


def tiny_resnet(layers: tuple[int, ...] = (1, 1, 2, 1), num_classes: int = 5, **options: object) -> resnet.ResNet:
    """A bottleneck ResNet of torchvision with narrow 3x3 convolutions."""
    return resnet.ResNet(resnet.Bottleneck, list(layers), num_classes=num_classes, width_per_group=8, **options)


def keep_last_stage(network: resnet.ResNet) -> None:
    """res5 with stride 1, written out by name."""
    network.layer4[0].conv2.stride = network.layer4[0].downsample[0].stride = (1, 1)


class CGNLBlock(nn.Module):
    """`SpatialCGNL`, or with an order `SpatialCGNLx`: one group after the other."""

    def __init__(self, inplanes: int, planes: int, groups: int, order: int | None = None, use_scale: bool = False):
        super().__init__()
        self.groups, self.order, self.use_scale = groups, order, use_scale
        self.t, self.p, self.g = (nn.Conv2d(inplanes, planes, 1, bias=False) for _ in range(3))
        self.z = nn.Conv2d(planes, inplanes, 1, bias=False, groups=groups)
        self.gn = nn.GroupNorm(groups, inplanes)

    def forward(self, x: Tensor) -> Tensor:
        gamma = float(torch.tensor(1e-4, dtype=torch.float32))
        results = []
        for theta, phi, value in zip(
            *(layer(x).chunk(self.groups, 1) for layer in (self.t, self.p, self.g)), strict=True
        ):
            length = theta[0].numel() ** 0.5 if self.use_scale else 1
            if self.order is None:
                results.append(theta * (phi * value).sum((1, 2, 3), keepdim=True) / length)
                continue
            terms = [
                math.exp(-2 * gamma)
                * (2 * gamma) ** p
                / math.factorial(p)
                * theta**p
                * (phi**p * value).sum((1, 2, 3), keepdim=True)
                / length
                for p in range(self.order + 1)
            ]
            results.append(sum(terms))
        return self.gn(self.z(torch.cat(results, 1))) + x


class NLBlock(nn.Module):
    """`SpatialNL` of CGNL's repository."""

    def __init__(self, inplanes: int, planes: int):
        super().__init__()
        self.t, self.p, self.g = (nn.Conv2d(inplanes, planes, 1, bias=False) for _ in range(3))
        self.z = nn.Conv2d(planes, inplanes, 1, bias=False)
        self.bn = nn.BatchNorm2d(inplanes)

    def forward(self, x: Tensor) -> Tensor:
        theta, phi, value = (layer(x).flatten(2) for layer in (self.t, self.p, self.g))
        weights = (theta.mT @ phi / theta.shape[1] ** 0.5).softmax(2)
        return self.bn(self.z((weights @ value.mT).mT.reshape(len(x), -1, *x.shape[2:]))) + x


class PairBlock(nn.Module):
    """The block of AlexHex7 (`W`, `concat_project`) and of tea1528 (`W_z`, `W_f`), which pools only in the first."""

    def __init__(self, channels: int, inner: int, mode: str, names: str, pool: bool = False, norm: bool = True):
        super().__init__()
        self.mode, self.names = mode, names
        pooled = (lambda layer: nn.Sequential(layer, nn.MaxPool2d(2))) if pool else (lambda layer: layer)
        self.g = pooled(nn.Conv2d(channels, inner, 1))
        self.keys = nn.MaxPool2d(2) if pool else nn.Identity()
        if mode != "gaussian":
            self.theta, self.phi = nn.Conv2d(channels, inner, 1), pooled(nn.Conv2d(channels, inner, 1))
        last = nn.Conv2d(inner, channels, 1)
        self.add_module(
            "W" if names == "alexhex7" else "W_z", nn.Sequential(last, nn.BatchNorm2d(channels)) if norm else last
        )
        if mode == "concatenate":
            pair = nn.Sequential(nn.Conv2d(2 * inner, 1, 1, bias=names == "tea1528"), nn.ReLU())
            self.add_module("concat_project" if names == "alexhex7" else "W_f", pair)

    def forward(self, x: Tensor) -> Tensor:
        value = self.g(x).flatten(2)
        theta, phi = (x, self.keys(x)) if self.mode == "gaussian" else (self.theta(x), self.phi(x))
        theta, phi = theta.flatten(2), phi.flatten(2)
        if self.mode == "concatenate":
            project = self.concat_project if self.names == "alexhex7" else self.W_f
            queries, keys = theta.shape[2], phi.shape[2]
            pairs = torch.cat(
                [theta[..., :, None].expand(-1, -1, -1, keys), phi[..., None, :].expand(-1, -1, queries, -1)], 1
            )
            weights = project(pairs)[:, 0] / keys
        else:
            logits = theta.mT @ phi
            weights = logits / phi.shape[2] if self.mode == "dot" else logits.softmax(2)
        y = (weights @ value.mT).mT.reshape(len(x), -1, *x.shape[2:])
        return (self.W if self.names == "alexhex7" else self.W_z)(y) + x


class ISqrt(nn.Module):
    """Covariance, Newton-Schulz steps and one triangle, position by position as in the definitions."""

    def __init__(self, steps: int, triangle: str):
        super().__init__()
        self.steps, self.triangle = steps, triangle

    def forward(self, x: Tensor) -> Tensor:
        samples = x.flatten(2) - x.flatten(2).mean(2, keepdim=True)
        sigma = samples @ samples.mT / samples.shape[2]
        trace = sigma.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
        one = torch.eye(x.shape[1], dtype=x.dtype)
        y, z = sigma / trace, one
        for _ in range(self.steps):
            t = (3 * one - z @ y) / 2
            y, z = y @ t, t @ z
        root, d = y * trace.sqrt(), x.shape[1]
        pairs = [(i, j) for i in range(d) for j in range(d) if (j >= i if self.triangle == "upper" else j <= i)]
        return torch.stack([root[:, i, j] for i, j in pairs], 1)


def attached(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The state with a prefix."""
    return {prefix + key: tensor for key, tensor in state.items()}


def relu_covariance(x: Tensor) -> Tensor:
    """The covariance over positions of a rectified map."""
    samples = F.relu(x).flatten(2)
    samples = samples - samples.mean(2, keepdim=True)
    return samples @ samples.mT / samples.shape[2]
