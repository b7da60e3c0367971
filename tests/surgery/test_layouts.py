"""Layouts found from evidence, or refused with the two readings."""

from functools import partial

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from surgery_hosts import ChannelsLast, Mlp, Silent, TokenMixer, Transformer
from torch import Tensor, nn

import wholeframe as wf
from wholeframe.surgery.insert import insert
from wholeframe.surgery.placement import Layout

IMAGE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
WIDE = torch.randn(2, 3, 24, 40, generator=torch.Generator().manual_seed(0))


def found(model: nn.Module, at: str, example: Tensor = IMAGE, **options) -> tuple[int, tuple[int, ...], Layout]:
    """Channels, grid and layout at one site; the insertion proves that the output stayed."""
    torch.manual_seed(0)
    report = insert(model.eval(), wf.SimplifiedNonLocal, at=at, example=example, **options)
    assert report.unchanged
    (row,) = report.rows
    return row.channels, row.grid, row.layout


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("example", [IMAGE, WIDE], ids=["square", "wide"])
@pytest.mark.parametrize("extra", [0, 1, 2, 5])
def test_tokens_with_extra_tokens_in_front(extra: int, example: Tensor):
    grid = (example.shape[2] // 4, example.shape[3] // 4)
    assert found(Transformer(24, extra), "layers.0", example) == (24, grid, Layout("tokens", grid, extra))


@pytest.mark.slow
def test_the_channels_of_a_channels_last_map_are_its_last_axis():
    assert found(ChannelsLast(), "stage1.0") == (16, (8, 8), Layout("channels_last"))
    assert found(ChannelsLast(), "stage2.0") == (32, (4, 4), Layout("channels_last"))
    assert found(ChannelsLast(), "stage1.0.down", WIDE) == (16, (6, 10), Layout("channels_last"))


def test_a_layer_without_weights_has_the_layout_of_maps_of_its_shape():
    assert found(ChannelsLast(), "stage2") == (32, (4, 4), Layout("channels_last"))


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
def test_where_layers_say_nothing_the_axis_that_does_not_change_with_the_image_has_the_channels(last: bool):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = Silent(3, last)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.movedim(1, -1) if last else x)

    layout = Layout("channels_last") if last else Layout()
    assert found(Net(), "layer") == (3, (32, 32), layout)


def test_as_many_channels_as_rows_and_columns_are_decided_by_the_layers():
    """A map (b, 8, 8, 8) reads the same both ways."""
    assert found(ChannelsLast(8), "stage1.0") == (8, (8, 8), Layout("channels_last"))
    assert found(nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8)), "1") == (8, (8, 8), Layout())


def test_layers_that_contradict_each_other_are_decided_by_the_sizes():
    """A linear layer along the rows of a channels-first map, with as many rows as the convolution has channels."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.rows = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return y.mean() + self.rows(F.adaptive_avg_pool2d(y, 8))

    assert found(Net(), "conv") == (8, (8, 8), Layout())


def test_layers_that_contradict_each_other_in_a_network_of_one_size_are_refused():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.rows = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return self.rows(self.conv(x))

    with pytest.raises(ValueError, match="reads as 8 channels on 8 x 8 or as 8 channels on 8 x 8") as error:
        insert(Net(), wf.SimplifiedNonLocal, at="conv", example=IMAGE)
    assert "layout='channels_first' or layout='channels_last'" in str(error.value)
    assert "channels on the axes 1, 3" in str(error.value)
    assert found(Net(), "conv", layout="channels_first") == (8, (8, 8), Layout())


def test_a_map_that_shows_nothing_is_refused_with_both_readings():
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(1, 6, 32, 32))
            self.layer = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.repeat(1, 2, 1, 1) * self.gain)

    with pytest.raises(ValueError, match="reads as 6 channels on 32 x 32 or as 32 channels on 6 x 32") as error:
        insert(Fixed(), wf.SimplifiedNonLocal, at="layer", example=IMAGE)
    assert "nothing in the model says which" in str(error.value)
    assert found(Fixed(), "layer", layout="channels_first")[0] == 6
    assert found(Fixed(), "layer", layout="channels_last")[0] == 32


def test_a_layer_across_tokens_is_not_taken_for_one_along_channels():
    mixer = Transformer(24, layer=partial(TokenMixer, tokens=64))
    assert found(mixer, "layers.1") == (24, (8, 8), Layout("tokens", (8, 8)))
    with pytest.raises(ValueError, match=r"64 channels of 24 tokens, and the model has no grid of as many"):
        insert(mixer, wf.SimplifiedNonLocal, at="layers.0.across", example=IMAGE)


def test_tokens_in_another_order_have_no_grid():
    """As in Hiera, whose tokens are sorted by windows: a context of the whole frame does not mind, a grid would lie."""
    windows = torch.arange(64).view(2, 4, 2, 4).transpose(1, 2).flatten()
    assert found(Transformer(24, order=windows), "layers.0") == (24, (64,), Layout("tokens", (64,)))


def test_windows_are_not_the_batch():
    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.proj, self.layer = nn.Conv2d(3, 16, 4, 4), Mlp(16)

        def forward(self, x: Tensor) -> Tensor:
            y = self.proj(x).unflatten(3, (2, 4)).unflatten(2, (2, 4))  # (b, c, 2, 4, 2, 4)
            return self.layer(y.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(0, 2)).mean(1)

    with pytest.raises(ValueError, match="for a batch of 2, so its first axis is not the batch: these are windows"):
        insert(Windows(), wf.SimplifiedNonLocal, at="layer", example=IMAGE)


def test_heads_are_not_rows():
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.proj, self.norm = nn.Conv2d(3, 12, 4, 4), nn.LayerNorm(4)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.proj(x).flatten(2).unflatten(1, (3, 4)).transpose(2, 3))  # (b, heads, n, d)

    with pytest.raises(ValueError, match="3 x 64 does not have the shape of the image, 32 x 32: these may be heads"):
        insert(Heads(), wf.SimplifiedNonLocal, at="norm", example=IMAGE)


@pytest.mark.slow
def test_tokens_without_a_grid_are_refused_and_the_caller_can_give_it():
    class Queries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.layer = nn.Parameter(torch.randn(1, 30, 12)), Mlp(12)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.query.expand(len(x), -1, -1) + x.mean())

    with pytest.raises(ValueError, match="12 channels of 30 tokens, and the model has no grid of as many") as error:
        insert(Queries(), wf.SimplifiedNonLocal, at="layer", example=IMAGE)
    assert "layout=wf.Layout('tokens', grid=(h, w), extra=k)" in str(error.value)
    assert found(Queries(), "layer", layout=Layout("tokens", (5, 6))) == (12, (5, 6), Layout("tokens", (5, 6)))
    with pytest.raises(ValueError, match=r"30 tokens, and grid=\(5, 5\) with extra=1 has 26"):
        insert(Queries(), wf.SimplifiedNonLocal, at="layer", example=IMAGE, layout=Layout("tokens", (5, 5), 1))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(("queries", "grid"), [(17, (4, 4)), (5, (2, 2)), (16, None), (4, None)])
def test_object_queries_are_not_read_as_a_grid(queries: int, grid: tuple[int, int] | None):
    """As in DETR, whose decoder has tokens of its own that look at those of the image."""
    size = 4 if queries > 15 else 2

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.proj = nn.Conv2d(3, 12, 32 // size, 32 // size)
            self.query = nn.Parameter(torch.randn(1, queries, 12))
            self.attend, self.layer = nn.MultiheadAttention(12, 2, batch_first=True), Mlp(12)

        def forward(self, x: Tensor) -> Tensor:
            memory = self.proj(x).flatten(2).transpose(1, 2)
            return self.layer(self.attend(self.query.expand(len(x), -1, -1), memory, memory)[0])

    torch.manual_seed(0)
    if grid is None:
        assert found(Decoder(), "layer") == (12, (queries,), Layout("tokens", (queries,)))
        return
    words = rf"'layer' returns {queries} tokens, .* those of a grid of {grid[0]} x {grid[1]} after 1 more; give layout="
    with pytest.raises(ValueError, match=words):
        insert(Decoder(), wf.SimplifiedNonLocal, at="layer", example=IMAGE)
    layout = Layout("tokens", (queries,))
    assert found(Decoder(), "layer", layout=layout) == (12, (queries,), layout)


def test_a_layout_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="layout='nhwc' is not one of 'auto', 'channels_first'"):
        insert(ChannelsLast(), wf.SimplifiedNonLocal, at="stage1.0", example=IMAGE, layout="nhwc")  # type: ignore[arg-type]


def test_sequences_and_clips():
    sequence = nn.Sequential(nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8))
    assert found(sequence, "1", torch.randn(2, 3, 20)) == (8, (18,), Layout())

    class Video(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.proj, self.layer = nn.Conv3d(3, 12, (2, 4, 4), (2, 4, 4)), Mlp(12)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.proj(x).flatten(2).transpose(1, 2)).mean(1)

    clip = torch.randn(1, 3, 4, 16, 16)
    assert found(Video(), "layer", clip) == (12, (2, 4, 4), Layout("tokens", (2, 4, 4)))


SMALL = {"img_size": 64, "depth": 2, "embed_dim": 48, "num_heads": 2}
REAL = {
    "vit": (partial(timm.create_model, "vit_tiny_patch16_224", **SMALL), "blocks.1", (48, (4, 4), "tokens", 1)),
    "deit distilled": (
        partial(timm.create_model, "deit_tiny_distilled_patch16_224", **SMALL),
        "blocks.0",
        (48, (4, 4), "tokens", 2),
    ),
    "dinov2 registers": (
        partial(timm.create_model, "vit_small_patch14_reg4_dinov2", **SMALL | {"img_size": 56}),
        "blocks.1",
        (48, (4, 4), "tokens", 5),
    ),
    "mixer": (
        partial(timm.create_model, "mixer_s32_224", img_size=64),
        "blocks.1",
        (512, (2, 2), "tokens", 0),
    ),
    "pvt v2": (partial(timm.create_model, "pvt_v2_b0"), "stages.1.blocks.1", (64, (8, 8), "tokens", 0)),
    "swin": (torchvision.models.swin_t, "features.3.1", (192, (8, 8), "channels_last", 0)),
    "timm swin": (
        partial(timm.create_model, "swin_tiny_patch4_window7_224", img_size=64, window_size=4),
        "layers.1.blocks.0",
        (192, (8, 8), "channels_last", 0),
    ),
    "convnext": (torchvision.models.convnext_tiny, "features.3.0", (192, (8, 8), "channels_first", 0)),
    "convnext inside": (torchvision.models.convnext_tiny, "features.3.0.block.2", (192, (8, 8), "channels_last", 0)),
    "resnet": (torchvision.models.resnet18, "layer2.1", (128, (8, 8), "channels_first", 0)),
    "mvit": (partial(timm.create_model, "mvitv2_tiny"), "stages.1.blocks.0", (192, (8, 8), "tokens", 0)),
}


@pytest.mark.slow_beyond(3)
@pytest.mark.parametrize("name", REAL)
def test_networks_of_torchvision_and_timm(name: str):
    build, at, (channels, grid, axes, extra) = REAL[name]
    side = 56 if "dinov2" in name else 64
    example = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    layout = Layout(axes, grid, extra) if axes == "tokens" else Layout(axes)
    torch.manual_seed(0)
    assert found(build(), at, example) == (channels, grid, layout)
