"""Blocks in every layout: the same numbers as channels first, nothing mixed up, nothing lost."""

import copy
import pickle
from collections import namedtuple

import pytest
import torch
from surgery_hosts import ChannelsLast, Mlp, Pyramid, Transformer
from torch import Tensor, nn

import wholeframe as wf
from wholeframe.surgery.insert import insert, remove
from wholeframe.surgery.placement import BlockHook, Layout, attach, with_item

IMAGE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def moving(channels: int) -> nn.Module:
    """A block that changes its input, and differently at each position and channel."""
    return wf.NonLocal(channels, init="random", std=0.5, norm=None, pool=2).double()


@pytest.mark.parametrize(
    ("layout", "shape", "moved"),
    [
        (Layout(), (2, 6, 4, 8), lambda y: y),
        (Layout("channels_last"), (2, 4, 8, 6), lambda y: y.permute(0, 3, 1, 2)),
        (Layout("channels_last"), (2, 4, 4, 8, 6), lambda y: y.permute(0, 4, 1, 2, 3)),
        (Layout("tokens", (4, 8)), (2, 32, 6), lambda y: y.transpose(1, 2).reshape(2, 6, 4, 8)),
        (Layout("tokens", (4, 8), 3), (2, 35, 6), lambda y: y[:, 3:].transpose(1, 2).reshape(2, 6, 4, 8)),
    ],
    ids=["first", "last", "last clip", "tokens", "tokens and extra"],
)
def test_a_block_computes_the_same_in_every_layout_with_every_gradient(layout: Layout, shape, moved):
    torch.manual_seed(0)
    site, block = nn.Identity(), moving(6)
    y = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    site.wholeframe = block
    out = BlockHook(layout)(site, (), y)
    wanted = block(moved(y))
    assert out.shape == y.shape and out.is_contiguous()
    torch.testing.assert_close(moved(out), wanted)
    assert layout.sizes(y.shape) == (6, tuple(wanted.shape[2:]))
    if layout.extra:
        assert torch.equal(out[:, : layout.extra], y[:, : layout.extra])
    names = ["y", *dict(block.named_parameters())]
    weights = torch.randn_like(wanted)
    inputs = [y, *block.parameters()]
    ours = torch.autograd.grad((moved(out) * weights).sum(), inputs, retain_graph=True)
    theirs = torch.autograd.grad((wanted * weights).sum(), inputs)
    for name, mine, other in zip(names, ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, msg=name)


def test_memory_is_laid_out_as_the_host_had_it():
    site = nn.Identity()
    site.wholeframe = nn.Identity()
    y = torch.randn(2, 6, 4, 8).permute(0, 2, 3, 1)
    out = BlockHook(Layout("channels_last"))(site, (), y)
    assert out.stride() == y.stride() and torch.equal(out, y)


def test_class_tokens_keep_their_values_and_gradients():
    torch.manual_seed(0)
    model = Transformer(24, extra=2).eval()
    insert(model, lambda c: wf.NonLocal(c, init="random", std=0.5), at="layers.0", example=IMAGE)
    seen = {}
    model.layers[1].register_forward_pre_hook(lambda _, args: seen.update(after=args[0]))
    model.layers[0].norm.register_forward_pre_hook(lambda _, args: seen.update(before=args[0]))
    model(IMAGE)
    own = Mlp.forward(model.layers[0], seen["before"])
    assert torch.equal(seen["after"][:, :2], own[:, :2]) and not torch.allclose(seen["after"][:, 2:], own[:, 2:])


def test_other_image_sizes_scale_the_grid_and_other_shapes_are_refused():
    model = Transformer(24, extra=1).eval()
    insert(model, wf.NonLocal, at="layers.0", example=IMAGE)
    model(torch.randn(1, 3, 64, 64))
    with pytest.raises(ValueError, match="the map has 60 tokens and the layout of this block has a grid of 8 x 8"):
        model(torch.randn(1, 3, 24, 40))
    assert Layout("tokens", (4, 6), 1).grid_of(torch.empty(1, 97, 3)) == (8, 12)
    with pytest.raises(ValueError, match="96 tokens"):
        Layout("tokens", (2, 4, 4)).grid_of(torch.empty(1, 96, 3))
    assert Layout("tokens", (10,)).grid_of(torch.empty(1, 17, 3)) == (17,)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches, self.mlp = nn.Conv2d(3, 16, 4, stride=4), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(self.patches(x).flatten(2).transpose(1, 2))


@pytest.mark.slow
@pytest.mark.compiled
def test_one_compiled_or_exported_graph_serves_every_size_of_tokens():
    torch._dynamo.reset()
    model = Tokens().eval()
    insert(model, wf.GlobalContext, at="mlp", example=torch.zeros(1, 3, 32, 64), layout=Layout("tokens", (8, 16)))
    with torch.no_grad():
        for parameter in model.mlp.wholeframe.parameters():
            parameter.add_(0.1)
    shapes = [(2, 3, 32, 64), (3, 3, 48, 96), (2, 3, 64, 128)]
    free = torch.export.Dim.DYNAMIC
    exported = torch.export.export(model, (torch.randn(shapes[0]),), dynamic_shapes=({0: free, 2: free, 3: free},))
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=True)
    with torch.no_grad(), torch._dynamo.config.patch(error_on_recompile=True):
        for x in map(torch.randn, shapes):
            torch.testing.assert_close(compiled(x), model(x))
            torch.testing.assert_close(exported.module()(x), model(x))


Pair = namedtuple("Pair", "map, score")


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ((torch.zeros(1, 3, 2, 2), 7), 0),
        ([7, torch.zeros(1, 3, 2, 2)], 1),
        ({"out": torch.zeros(1, 3, 2, 2), "n": 7}, "out"),
        (Pair(torch.zeros(1, 3, 2, 2), 7), 0),
    ],
    ids=["tuple", "list", "dict", "named tuple"],
)
def test_an_item_is_replaced_in_a_copy(given, key):
    one = torch.ones(1, 3, 2, 2)
    changed = with_item(given, key, one)
    assert type(changed) is type(given) and changed[key] is one and len(changed) == len(given)
    assert not given[key].any()


@pytest.mark.slow
def test_the_only_map_of_a_tuple_is_taken_and_one_of_several_has_to_be_chosen():
    class Hidden(Mlp):
        def forward(self, x: Tensor):
            return (super().forward(x), None)

    report = insert(Transformer(24, layer=Hidden), wf.SimplifiedNonLocal, at="layers.0", example=IMAGE)
    assert report.rows[0].output == 0 and report.unchanged
    assert "layers.0, output=0" in str(report)

    for at, places, key in (("neck", "'fine', 'coarse'", "coarse"), ("pair", "0, 1", 1)):
        model = Pyramid().eval()
        with pytest.raises(ValueError, match=f"with maps at {places}; choose one, output="):
            insert(model, wf.SimplifiedNonLocal, at=at, example=IMAGE)
        before = model(IMAGE)
        report = insert(model, moving_by_one, at=at, example=IMAGE, output=key)
        assert (report.rows[0].channels, report.rows[0].output) == (8, key)
        torch.testing.assert_close(model(IMAGE), before + 1)
        remove(model)
        assert torch.equal(model(IMAGE), before)


def moving_by_one(channels: int) -> nn.Module:
    class One(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + 1

    return One()


def test_an_output_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"returns a tensor .*, so output=0 does not apply; leave it out"):
        insert(Pyramid(), wf.SimplifiedNonLocal, at="conv", example=IMAGE, output=0)
    with pytest.raises(ValueError, match="without a tensor at output='middle'; it has maps at 'fine', 'coarse'"):
        insert(Pyramid(), wf.SimplifiedNonLocal, at="neck", example=IMAGE, output="middle")


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("twin", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize(("build", "at"), [(ChannelsLast, "stage1.*"), (Transformer, "layers.*")])
def test_copies_keep_layouts(twin, build, at: str):
    torch.manual_seed(0)
    model = build().eval()
    insert(model, lambda c: wf.CGNL(c, init="random", groups=1), at=at, example=IMAGE)
    assert torch.equal(twin(model)(IMAGE), model(IMAGE))


@pytest.mark.slow
@pytest.mark.parametrize(("build", "at"), [(ChannelsLast, "stage1.*"), (Transformer, "layers.*")])
def test_other_layouts_compile_and_export(build, at: str):
    torch.manual_seed(0)
    model = build().eval()
    insert(model, lambda c: wf.NonLocal(c, init="random", norm=None), at=at, example=IMAGE)
    wanted = model(IMAGE)
    exported = torch.export.export(model, (IMAGE,), dynamic_shapes=({0: torch.export.Dim("b", max=64)},))
    torch.testing.assert_close(exported.module()(IMAGE[:1]), wanted[:1])
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(IMAGE), wanted)


def test_a_layout_says_what_it_is():
    assert [str(Layout()), str(Layout("channels_last"))] == ["channels first", "channels last"]
    assert str(Layout("tokens", (2, 2), 2)) == "tokens, 2 extra tokens apart"
    for options in ({"axes": "channels_last", "grid": (2, 2)}, {"axes": "tokens"}, {"axes": "tokens", "grid": (0, 2)}):
        with pytest.raises(ValueError, match="axes="):
            Layout(**options)


# ----------------------------------------------------------------------------- writing over the output of a site


class Host(nn.Module):
    """A convolution, and a site with a block."""

    def __init__(self, block: nn.Module, site: nn.Module):
        super().__init__()
        self.conv, self.site = nn.Conv2d(3, 6, 3), site
        attach(self.site, block, Layout())

    def forward(self, x):
        return self.site(self.conv(x)).add(1)


def places(host: nn.Module) -> tuple[int, int]:
    """Where the output of the norm and the output of the block are in memory."""
    seen, forward = [], nn.BatchNorm2d.forward

    def noted(norm, x):
        seen.append(forward(norm, x))
        return seen[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.BatchNorm2d, "forward", noted)
        out = host.site(host.conv(IMAGE))
    return seen[0].data_ptr(), out.data_ptr()


CHANGES = {
    "nothing": lambda host: None,
    "a hook of the site": lambda host: host.site.register_forward_hook(lambda *_: None),
    "an earlier hook of the site": lambda host: host.site.register_forward_hook(lambda *_: None, prepend=True),
    "a hook of the block": lambda host: host.site.wholeframe.register_forward_pre_hook(lambda *_: None),
    "a hook of the context": lambda host: host.site.wholeframe.context.register_forward_hook(lambda *_: None),
    "a forward of the block": lambda host: setattr(host.site.wholeframe, "forward", host.site.wholeframe.forward),
    "a forward of the site": lambda host: setattr(host.site, "forward", lambda x: nn.BatchNorm2d.forward(host.site, x)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_block_writes_over_the_output_of_its_site_only_where_nothing_else_can_have_it(change):
    torch.manual_seed(0)
    host = Host(wf.GlobalContext(6, ratio=1 / 2, init="random"), nn.BatchNorm2d(6)).eval()
    with torch.no_grad():
        plain = host.site.wholeframe(nn.BatchNorm2d.forward(host.site, host.conv(IMAGE)))
        CHANGES[change](host)
        site, block = places(host)
        assert (site == block) == (change == "nothing")
        assert torch.equal(host(IMAGE), plain + 1)


class Scaled(wf.SqueezeExcite):
    """A block of a user, with a forward that takes a map and nothing else."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def test_a_block_of_a_user_takes_its_map():
    host = Host(Scaled(6), nn.BatchNorm2d(6)).eval()
    with torch.no_grad():
        y = nn.BatchNorm2d.forward(host.site, host.conv(IMAGE))
        assert torch.equal(host.site(host.conv(IMAGE)), 2 * wf.SqueezeExcite.forward(host.site.wholeframe, y))


@pytest.mark.parametrize(
    "site", [nn.Identity(), nn.ReLU(inplace=True), nn.Sequential(nn.BatchNorm2d(6)), nn.Dropout(0.0)]
)
def test_a_site_that_may_return_what_others_have_keeps_it(site):
    host = Host(wf.SqueezeExcite(6), site).eval()
    kept = []
    host.conv.register_forward_hook(lambda _m, _a, y: kept.append((y, y.clone())))
    with torch.no_grad():
        host(IMAGE)
    y, before = kept[0]
    assert torch.equal(y, before.relu() if isinstance(site, nn.ReLU) else before)
