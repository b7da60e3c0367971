"""A checkpoint and a fresh backbone give the same network, to the bit, in another process too."""

import json
import os
import subprocess
import sys
from collections import OrderedDict
from functools import partial

import pytest
import torch
from safetensors.torch import save_file
from surgery_models import IMAGE, Net, Plus, assert_same, give, snapshot
from torch import nn
from torch.nn.utils import prune

import wholeframe as wf
from wholeframe.surgery.insert import insert
from wholeframe.surgery.record import blocks_of
from wholeframe.surgery.restore import restore

SITES = ["layer1.0.bn2", "layer2.1"]


@pytest.fixture
def trained(net: Net) -> Net:
    """Two kinds of blocks, with weights that are not those of the start."""
    insert(net, lambda c: wf.NonLocal(c, inner=2, kind="dot"), at=SITES[:1], example=IMAGE)
    transform = partial(wf.parts.Bottleneck, hidden=3)
    gate = partial(wf.ContextBlock, context=wf.parts.MeanContext, transform=transform, fusion="multiply_add")
    insert(net, gate, at=SITES[1:], example=IMAGE)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def wrapped(state, prefix):
    """As a module of that prefix saves it."""
    copied = OrderedDict((prefix + key, value) for key, value in state.items())
    copied._metadata = {f"{prefix}{name}".rstrip("."): entry for name, entry in state._metadata.items()}
    return copied


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("prefix", ["", "module.", "model._orig_mod."])
def test_the_same_network_from_the_state_dict(trained, prefix):
    fresh = Net()
    restored = restore(fresh, wrapped(trained.state_dict(), prefix))
    assert restored == blocks_of(trained)
    assert torch.equal(give(fresh, IMAGE), give(trained, IMAGE))
    assert blocks_of(fresh) == restored
    wf.verify(fresh, IMAGE)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_checkpoint_of_the_baked_network(trained, prefix, recorded):
    insert(trained, wf.GlobalContext, at=["stem", "layer1.0"], example=IMAGE)
    baked = wf.bake(trained)
    state = wrapped(baked.state_dict(), prefix)
    fresh = Net()
    restored = restore(fresh, state) if recorded else restore(fresh, dict(state), blocks=blocks_of(baked))
    assert {block.site: block for block in restored} == {block.site: block for block in blocks_of(trained)}
    assert fresh.state_dict().keys() == trained.state_dict().keys()
    assert torch.equal(give(fresh, IMAGE), give(trained, IMAGE))


def test_a_part_of_the_host_called_site_keeps_its_name():
    class Host(nn.Module):
        def __init__(self):
            super().__init__()
            self.site = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ModuleDict({"site": nn.Conv2d(4, 4, 1)}))

        def forward(self, x):
            return self.site[1]["site"](self.site[0](x))

    model, fresh = Host(), Host()
    insert(model, partial(wf.NonLocal, init="random"), at=["site.0", "site.1.site"], example=IMAGE)
    baked = wf.bake(model)
    assert "site.1.site.site.weight" in baked.state_dict()
    assert [block.site for block in restore(fresh, baked.state_dict())] == ["site.0", "site.1.site"]
    assert torch.equal(give(fresh, IMAGE), give(model, IMAGE))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    "block",
    [
        lambda c: wf.NonLocal(c, inner=2),
        lambda c: wf.CGNL(c, groups=2, norm="bn"),
        lambda c: wf.GSoPChannel(c, inner=4),
        partial(
            wf.ContextBlock,
            context=wf.parts.MeanContext,
            transform=partial(wf.parts.Bottleneck, hidden=3, norm="bn"),
            fusion="multiply_add",
        ),
    ],
)
def test_norms_that_were_frozen_after_the_insertion(net, block):
    insert(net, block, at=SITES, example=IMAGE)
    wf.freeze_norms(net)
    state = net.state_dict()
    assert all(placement.recipe["frozen"] for placement in blocks_of(net))
    fresh = Net()
    before = snapshot(fresh)
    with pytest.raises(ValueError, match=r"of the checkpoint are frozen \(.*`wf.freeze_norms\(model\)` first"):
        restore(fresh, state)
    assert_same(fresh, before)
    wf.freeze_norms(fresh)
    assert restore(fresh, state) == blocks_of(net)
    assert torch.equal(give(fresh, IMAGE), give(net, IMAGE))
    insert(thawed := Net(), block, at=SITES, example=IMAGE)
    frozen = Net()
    wf.freeze_norms(frozen)
    with pytest.raises(ValueError, match=r"the batch norms of this model are frozen .* restore into a model before"):
        restore(frozen, thawed.state_dict())


def test_norms_that_were_synchronised_after_the_insertion(trained):
    expected = give(trained, IMAGE)
    wf.sync_batchnorm(trained)
    fresh = Net()
    assert restore(fresh, trained.state_dict()) == blocks_of(trained)
    assert torch.equal(give(fresh, IMAGE), expected)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    "change",
    [
        lambda block: torch.nn.utils.parametrizations.weight_norm(block.theta),
        lambda block: prune.l1_unstructured(block.g, "weight", 0.5),
        lambda block: setattr(block, "norm", None),
    ],
)
def test_a_block_that_was_changed_by_hand_is_named(net, change):
    insert(net, lambda c: wf.NonLocal(c, inner=2), at="layer2.1", example=IMAGE)
    change(net.layer2[1].wholeframe)
    with pytest.raises(ValueError, match=r"the layers of the block at 'layer2.1' were changed after it was built"):
        restore(Net(), net.state_dict())


def test_in_another_process(trained, tmp_path):
    torch.save({"state_dict": wrapped(trained.state_dict(), "model."), "epoch": 3}, tmp_path / "last.ckpt")
    torch.save(give(trained, IMAGE), tmp_path / "output.pt")
    program = (
        "import sys, torch, wholeframe as wf; from surgery_models import IMAGE, Net, give; "
        "torch.set_num_threads(1); net = Net(); wf.restore(net, sys.argv[1] + '/last.ckpt'); "
        "assert torch.equal(give(net, IMAGE), torch.load(sys.argv[1] + '/output.pt'))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_a_format_without_metadata_takes_the_blocks(trained, tmp_path):
    save_file(trained.state_dict(), tmp_path / "model.safetensors")
    text = json.dumps([block.as_data() for block in wf.blocks_of(trained)])
    for blocks in (text, json.loads(text), blocks_of(trained)):
        fresh = Net()
        restore(fresh, tmp_path / "model.safetensors", blocks=blocks)
        assert torch.equal(give(fresh, IMAGE), give(trained, IMAGE))


def test_layouts_and_outputs_are_restored():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Pair()
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.inner(x)[0])

    layout = wf.Layout("tokens", (3, 4), extra=1)
    x = torch.randn(2, 13, 8)
    model, fresh = Tokens(), Tokens()
    insert(model, partial(wf.NonLocal, init="random"), at="inner", example=x, layout=layout, output=0)
    restored = restore(fresh, model.state_dict())
    assert (restored[0].layout, restored[0].output) == (layout, 0)
    assert torch.equal(give(fresh, x), give(model, x))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        return self.norm(x), None


def test_a_block_of_another_package_needs_its_callable(net):
    insert(net, Plus, at="layer2.1", example=IMAGE)
    with pytest.raises(ValueError, match=r"the Plus at 'layer2.1' is not described .* block="):
        restore(Net(), net.state_dict())
    fresh = Net()
    restore(fresh, net.state_dict(), block=Plus)
    assert torch.equal(give(fresh, IMAGE), give(net, IMAGE))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda s: s.pop("layer2.1.wholeframe.add.reduce.weight"),
            "1 key missing there: layer2.1.wholeframe.add.reduce",
        ),
        (lambda s: s.update(extra=torch.zeros(1)), "1 key unknown here: extra"),
        (lambda s: s.update({"fc.bias": torch.zeros(3)}), r"1 shape differs: fc.bias is \(3,\) there"),
        (lambda s: s._metadata.clear(), "no record of how they were built; give blocks="),
        (lambda s: s._metadata.update({"layer9.1": s._metadata.pop("layer2.1")}), "no module 'layer9.1'.*nearest are"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_and_changes_nothing(trained, change, words):
    state = trained.state_dict()
    change(state)
    fresh = Net()
    before = snapshot(fresh)
    with pytest.raises(ValueError, match=words):
        restore(fresh, state)
    assert_same(fresh, before)


@pytest.mark.slow
def test_other_refusals(trained, tmp_path):
    state = trained.state_dict()
    with pytest.raises(ValueError, match=r"'layer1.0.bn2' already has a block; `wf.remove\(model\)`"):
        restore(trained, state)
    with pytest.raises(ValueError, match="no record of blocks and no weights of any; load it with `load_state_dict`"):
        restore(Net(), Net().state_dict())
    with pytest.raises(ValueError, match="these state dicts: 'model', 'ema'; give one of them"):
        restore(Net(), {"model": state, "ema": state})
    for nothing, words in ((None, "checkpoint is a NoneType; give a file"), ({}, "checkpoint has no keys")):
        with pytest.raises(ValueError, match=words):
            restore(Net(), nothing)
    with pytest.raises(ValueError, match="blocks= is text that is not JSON"):
        restore(Net(), state, blocks="{")
    with pytest.raises(ValueError, match="blocks= is a int; give"):
        restore(Net(), state, blocks=3)
    with pytest.raises(ValueError, match="there is no file"):
        restore(Net(), tmp_path / "none.pt")
    torch.save(trained, tmp_path / "whole.pt")
    with pytest.raises(ValueError, match="cannot be read as tensors and plain data"):
        restore(Net(), tmp_path / "whole.pt")


def test_keys_of_something_else_are_named(trained):
    state = wrapped(trained.state_dict(), "model.")
    state["loss.weight"] = torch.zeros(2)
    with pytest.raises(ValueError, match=r"has 1 key more \(loss.weight\); give prefix='model.'"):
        restore(Net(), state)
    fresh = Net()
    restore(fresh, state, prefix="model.")
    assert torch.equal(give(fresh, IMAGE), give(trained, IMAGE))
