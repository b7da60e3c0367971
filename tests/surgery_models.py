"""Small models and blocks for the tests of surgery, and what those tests compare."""

import pytest
import torch
from torch import Tensor, nn

from wholeframe.surgery.insert import insert

IMAGE = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


class Same(nn.Module):
    """Residual 1x1 convolution over any grid, with a zero weight: an identity until it is trained."""

    identity_at_init = True

    def __init__(self, channels: int, bias: bool = False) -> None:
        super().__init__()
        self.out = nn.Linear(channels, channels, bias=bias)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(x.movedim(1, -1)).movedim(-1, 1)


class Plus(nn.Module):
    """Adds a constant, and says nothing about identities."""

    def __init__(self, channels: int, step: float = 0.25) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.full((channels,), step))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.step.view(-1, *[1] * (x.dim() - 2))


class FalseIdentity(Plus):
    identity_at_init = True


class Residual(nn.Module):
    """conv, bn, relu twice, with one relu for both places, as in torchvision."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + x)


class Net(nn.Module):
    """A ResNet in small: stem, layer1 (2 blocks), layer2 (2 blocks), a nested Sequential, an unused module, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.layer1 = nn.Sequential(Residual(4), Residual(4))
        self.layer2 = nn.Sequential(Residual(4), Residual(4))
        self.neck = nn.Sequential(nn.Conv2d(4, 6, 1), nn.Sequential(nn.BatchNorm2d(6), nn.Dropout(0.5)))
        self.empty = nn.Sequential()
        self.unused = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.neck(self.layer2(self.layer1(self.stem(x))))
        return self.fc(self.empty(y).mean((2, 3)))


class Single(nn.Module):
    """Wraps whatever forward the test is about around one convolution `inner`."""

    def __init__(self, run) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1)
        self.run = run

    def forward(self, x: Tensor):
        return self.run(self.inner, x)


class Chain(nn.Module):
    """A container that runs whatever children it has."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        for index, layer in enumerate(layers):
            self.add_module(f"step{index}", layer)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class Holder(nn.Module):
    """Gives a module under test a name, `inner`, and calls it once."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


class Returns(nn.Module):
    """A layer whose output is whatever `give` makes of its input."""

    def __init__(self, give) -> None:
        super().__init__()
        self.give = give

    def forward(self, x: Tensor):
        return self.give(x)


def give(model: nn.Module, *args) -> Tensor:
    """The model's output in eval mode, with every training flag restored."""
    flags = {module: module.training for module in model.modules()}
    with torch.no_grad():
        out = model.eval()(*args)
    for module, flag in flags.items():
        module.training = flag
    return out


def snapshot(model: nn.Module) -> dict:
    """All that `insert` must leave as it was when it refuses."""
    return {
        "keys": list(model.state_dict()),
        "values": [value.clone() for value in model.state_dict().values()],
        "modules": [name for name, _ in model.named_modules(remove_duplicate=False)],
        "flags": [module.training for module in model.modules()],
        "hooks": [dict(module._forward_hooks) for module in model.modules()],
        "attributes": [sorted(module.__dict__) for module in model.modules()],
    }


def assert_same(model: nn.Module, before: dict) -> None:
    after = snapshot(model)
    values, old_values = after.pop("values"), before["values"]
    assert after == {key: value for key, value in before.items() if key != "values"}
    assert all(torch.equal(new, old) for new, old in zip(values, old_values, strict=True))


def refuses(model: nn.Module, *words: str, error=ValueError, example=IMAGE, block=Same, at="inner") -> str:
    """`insert` raises, its message has all the words, and the model is what it was."""
    before = snapshot(model)
    with pytest.raises(error) as caught:
        insert(model, block, at=at, example=example)
    assert_same(model, before)
    message = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    for word in words:
        assert word in message
    return message
