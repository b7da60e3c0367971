"""Small networks whose maps are in other layouts than `(b, c, *grid)`: after the kinds that people use as backbones."""

import torch
from torch import Tensor, nn


class Patches(nn.Module):
    """A patch embedding: a convolution, then tokens in the order of rows, with extra tokens in front."""

    def __init__(self, channels: int, patch: int = 4, extra: int = 0) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, patch, patch)
        self.extra = nn.Parameter(torch.randn(1, extra, channels)) if extra else None

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.proj(x).flatten(2).transpose(1, 2)
        return tokens if self.extra is None else torch.cat([self.extra.expand(len(x), -1, -1), tokens], dim=1)


class Mlp(nn.Module):
    """x + W relu(W LN(x)) on the last axis: a transformer layer without its attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.up, self.down = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(self.up(self.norm(x)).relu())


class TokenMixer(nn.Module):
    """One layer of an MLP-Mixer: `across` works on (b, c, tokens)."""

    def __init__(self, channels: int, tokens: int) -> None:
        super().__init__()
        self.across, self.along = Mlp(tokens), Mlp(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.along(self.across(x.transpose(1, 2)).transpose(1, 2))


class Transformer(nn.Module):
    """Patches, two layers on (b, tokens, c), a norm and a head; `order` permutes the tokens behind the patches."""

    def __init__(self, channels: int = 24, extra: int = 0, order: Tensor | None = None, layer=Mlp) -> None:
        super().__init__()
        self.patches = Patches(channels, extra=extra)
        self.layers = nn.ModuleList([layer(channels), layer(channels)])
        self.norm, self.head = nn.LayerNorm(channels), nn.Linear(channels, 5)
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x)
        y = y if self.order is None else y[:, self.order]
        for layer in self.layers:
            y = layer(y)
            y = y[0] if isinstance(y, tuple) else y
        return self.head(self.norm(y).mean(1))


class ChannelsLast(nn.Module):
    """A Swin in small: (b, h, w, c) between its layers, halved once, without one convolution but the patches."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, 4, 4)
        self.stage1 = nn.Sequential(Mlp(channels), Mlp(channels))
        self.merge = nn.Linear(4 * channels, 2 * channels)
        self.stage2 = nn.Sequential(Mlp(2 * channels), nn.Identity())
        self.head = nn.Linear(2 * channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stage1(self.proj(x).permute(0, 2, 3, 1))
        y = torch.cat([y[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], dim=-1)
        return self.head(self.stage2(self.merge(y)).mean((1, 2)))


class Silent(nn.Module):
    """A layer whose weights show no width: nothing but the sizes of its maps says where its channels are."""

    def __init__(self, channels: int, last: bool) -> None:
        super().__init__()
        shape = (channels,) if last else (channels, 1, 1)
        self.gain = nn.Parameter(torch.randn(1, *shape))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain


class Pyramid(nn.Module):
    """A neck that returns a dict of maps and a list of maps."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, padding=1)
        self.neck, self.pair = Levels(), Halves()

    def forward(self, x: Tensor) -> Tensor:
        levels = self.neck(self.conv(x))
        first, second = self.pair(levels["fine"])
        return first.mean((2, 3)) + second.mean((2, 3)) + levels["coarse"].mean((2, 3))


class Levels(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"fine": x, "coarse": nn.functional.avg_pool2d(x, 2)}


class Halves(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, x.flip(3)]
