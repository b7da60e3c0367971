"""Networks for the tests of fusing, with statistics and weights that no norm leaves at 0 and 1."""

import torch
from torch import Tensor, nn


class Run(nn.Module):
    """Modules under names of their own, run by a function of them and the input."""

    def __init__(self, run, **modules: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor):
        return self.run(self, x)


def trained(network: nn.Module, dtype: torch.dtype = torch.float64) -> nn.Module:
    """The network as after training: random statistics, gains and weights everywhere, in eval mode."""
    torch.manual_seed(3)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.add_(0.1 * torch.randn_like(tensor))
        for module in network.modules():
            if isinstance(getattr(module, "running_var", None), Tensor):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return network.to(dtype).eval()


class Bottleneck(nn.Module):
    """The bottleneck of a ResNet, with torchvision's names."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, channels, 1, bias=False), nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
        y += x
        return self.relu(y)


class SmallResNet(nn.Module):
    """A stem, two stages of one bottleneck with 16 channels, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16)
        self.layer1, self.layer2 = nn.Sequential(Bottleneck(16, 4)), nn.Sequential(Bottleneck(16, 8))
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.bn1(self.conv1(x)).relu_()))
        return self.fc(x.mean((2, 3)))


def images(batch: int = 2, side: int = 16, channels: int = 3) -> Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(5)).double()


@torch.no_grad()
def gap(one: nn.Module, other: nn.Module, *inputs: Tensor) -> float:
    """The largest difference of two networks, relative to the largest output."""
    first, second = one(*inputs), other(*inputs)
    return ((first - second).abs().max() / first.abs().max()).item()
