"""A baked network computes the same without hooks, and tools that replace layers keep its blocks."""

import copy
import pickle

import pytest
import torch
from surgery_models import IMAGE, Net, Plus, Same, give
from torch import nn
from torch.fx.experimental.optimization import fuse

import wholeframe as wf
from wholeframe.surgery.bake import bake, old_keys
from wholeframe.surgery.baked import Baked

SITES = ["layer1.0.bn2", "layer1.0", "layer2.1.bn2", "stem"]


@pytest.fixture
def marked(net: Net) -> Net:
    """Two of the sites are one within the other."""
    wf.insert(net, Plus, at=SITES, example=IMAGE)
    return net


@pytest.fixture
def baked(marked: Net) -> nn.Module:
    return bake(marked)


def test_the_output_and_the_record_stay(marked, baked):
    assert torch.equal(give(baked, IMAGE), give(marked, IMAGE))
    assert not any(module._forward_hooks for name, module in baked.named_modules() if name)
    assert wf.blocks_of(baked) == wf.blocks_of(marked)
    assert wf.verify(baked, IMAGE).runs == (1, 1, 1, 1)
    assert [m.training for m in baked.modules() if isinstance(m, nn.Conv2d)] == [True] * 11


def test_gradients_are_the_same(marked, baked):
    marked.eval()(IMAGE).square().sum().backward()
    baked.eval()(IMAGE).square().sum().backward()
    grads = dict(baked.named_parameters())
    table = old_keys(baked)
    for name, parameter in marked.named_parameters():
        new = grads[table[name]].grad
        assert (parameter.grad is None and new is None) or torch.equal(parameter.grad, new), name


def test_loads_the_checkpoint_of_the_network_before(marked, baked):
    table = old_keys(baked)
    assert set(table) == set(marked.state_dict())
    assert set(table.values()) == set(baked.state_dict())
    assert table["layer1.0.bn2.weight"] == "layer1.0.site.bn2.site.weight"
    with torch.no_grad():
        for parameter in marked.parameters():
            parameter.add_(torch.randn_like(parameter))
    baked.load_state_dict(marked.state_dict())
    assert torch.equal(give(baked, IMAGE), give(marked, IMAGE))
    copy.deepcopy(baked).load_state_dict(baked.state_dict())


def test_copies_and_pickles(baked):
    expected = give(baked, IMAGE)
    for twin in (copy.deepcopy(baked), pickle.loads(pickle.dumps(baked))):
        assert torch.equal(give(twin, IMAGE), expected)
        assert wf.blocks_of(twin) == wf.blocks_of(baked)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("tool", [nn.SyncBatchNorm.convert_sync_batchnorm, wf.sync_batchnorm, wf.freeze_norms, fuse])
def test_tools_that_replace_batch_norms_keep_the_blocks(net, tool):
    wf.insert(net, Same, at=SITES, example=IMAGE)
    for name, parameter in net.named_parameters():
        if "wholeframe" in name:
            nn.init.uniform_(parameter)
    baked = bake(net).eval()
    expected, blocks = baked(IMAGE), wf.blocks_of(baked)
    changed = tool(baked)
    changed = changed if isinstance(changed, nn.Module) else baked
    torch.testing.assert_close(changed(IMAGE), expected, rtol=1e-4, atol=1e-5)
    wf.verify(changed, IMAGE, blocks=blocks)


def test_reads_go_to_the_site_where_they_are_safe(baked):
    assert baked.stem.in_channels == 3
    assert baked.stem.weight is baked.stem.site.weight
    assert isinstance(baked.layer1[0].conv1, nn.Conv2d)
    unsafe = [(baked.layer2[1].bn2, "running_var"), (baked.layer2[1].bn2, "weight"), (baked.stem, "reset_parameters")]
    for module, name in unsafe:
        with pytest.raises(AttributeError, match=f"'{name}' is not read through a baked"):
            getattr(module, name)
    assert not hasattr(baked.stem, "nothing")


def test_layouts_and_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(8)

        def forward(self, x, *, twice=False):
            return {"map": self.norm(2 * x if twice else x), "other": None}

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Two()

        def forward(self, x):
            return self.inner(x, twice=True)["map"]

    x, model = torch.randn(2, 13, 8), Whole()
    layout = wf.Layout("tokens", (3, 4), extra=1)
    wf.insert(model, lambda c: wf.NonLocal(c, init="random"), at="inner", example=x, layout=layout, output="map")
    assert torch.equal(give(bake(model), x), give(model, x))


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("at", ["layer1.0", "layer1.0.bn2", "layer1.0.site.bn2", "*", None])
def test_removing_gives_the_site_back(net, at):
    keys, expected = list(net.state_dict()), give(net, IMAGE)
    wf.insert(net, Same, at=SITES, example=IMAGE)
    baked = bake(net)
    removed = wf.remove(baked, at)
    assert set(removed) == {"layer1.0": {"layer1.0"}, "*": {"stem"}, None: set(SITES)}.get(at, {"layer1.0.bn2"})
    assert {block.site for block in wf.blocks_of(baked)} == set(SITES) - set(removed)
    assert torch.equal(give(baked, IMAGE), expected)
    wf.remove(bake(net))
    if at is None:
        assert list(baked.state_dict()) == keys
        assert not any(isinstance(module, Baked) for module in baked.modules())
        assert not baked._forward_hooks
    else:
        assert wf.verify(baked, IMAGE).runs == (1,) * (len(SITES) - len(removed))


def test_a_shared_baked_site_is_removed_in_all_its_places():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 3, 1)
            self.second = self.first

        def forward(self, x):
            return self.first(x)

    model = Twice()
    wf.insert(model, Same, at="first", example=IMAGE)
    baked = bake(model)
    assert baked.first is baked.second
    assert wf.remove(baked) == ["first"]
    assert type(baked.first) is nn.Conv2d
    assert baked.first is baked.second


def test_inserting_into_a_baked_network(baked):
    with pytest.raises(ValueError, match=r"'layer1.0' already has a block, Plus: remove it first"):
        wf.insert(baked, Same, at="layer1.0", example=IMAGE)
    wf.insert(baked, Same, at=["layer2.0", "layer1.0.site.bn1"], example=IMAGE)
    assert len(wf.verify(baked, IMAGE).runs) == 6
    again = bake(baked)
    assert torch.equal(give(again, IMAGE), give(baked, IMAGE))
    assert {b.site for b in wf.blocks_of(again)} == {*SITES, "layer2.0", "layer1.0.bn1"}
    listed = {site.name: site.block for site in wf.sites(again, IMAGE)}
    assert listed["layer1.0"] == "Plus"
    assert not any("wholeframe" in name for name in listed)


def test_a_lost_block_of_a_baked_network_is_named(baked):
    baked.layer1[0].site.bn2 = nn.Identity()
    with pytest.warns(UserWarning, match="1 inserted block no longer runs"):
        baked(IMAGE)
    with pytest.raises(ValueError, match=r"'layer1.0.bn2' \(Plus\): its site is now a Identity without it"):
        wf.verify(baked, IMAGE)
    assert wf.remove(baked, "layer1.0.bn2") == ["layer1.0.bn2"]


def test_the_guard_of_a_baked_network_looks_no_further(baked, monkeypatch):
    monkeypatch.setattr("wholeframe.surgery.record.blocks_of", None)
    give(baked, IMAGE)


def test_refusals(net, baked):
    wf.remove(net)
    with pytest.raises(ValueError, match="no blocks to bake"):
        bake(net)
    with pytest.raises(ValueError, match=r"are baked already, at stem, layer1.0, layer1.0.site.bn2, layer2.1.bn2"):
        bake(baked)
