"""Networks for the tests of fusing, with statistics and weights that no norm leaves at 0 and 1."""

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet


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


def small_resnet() -> nn.Module:
    """A ResNet of bottlenecks, 8 to 32 channels wide."""
    return ResNet(Bottleneck, [1, 1, 1, 1], num_classes=5, width_per_group=4)


def images(batch: int = 2, side: int = 32, channels: int = 3) -> Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(5)).double()


@torch.no_grad()
def gap(one: nn.Module, other: nn.Module, *inputs: Tensor) -> float:
    """The largest difference of two networks, relative to the largest output."""
    first, second = one(*inputs), other(*inputs)
    return ((first - second).abs().max() / first.abs().max()).item()
