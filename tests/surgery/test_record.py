"""The record of insertions goes where the model goes."""

import copy
import io
import json
import pickle
import warnings

import pytest
import torch
from surgery_models import IMAGE, Net, Same, assert_same, snapshot
from torch import nn

import wholeframe as wf
from wholeframe.surgery.insert import insert, remove
from wholeframe.surgery.record import Placement, blocks_of

SITES = ["layer1.0.bn2", "layer2.1"]


@pytest.fixture
def marked(net: Net) -> Net:
    insert(net, lambda c: wf.NonLocal(c, inner=2), at=SITES, example=IMAGE)
    return net


def names(model: nn.Module) -> list[str]:
    assert all(block.attached for block in blocks_of(model))
    return [block.site for block in blocks_of(model)]


def saved(model: nn.Module) -> nn.Module:
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), saved])
def test_a_copy_has_its_own_record(marked, copied):
    twin = copied(marked)
    assert blocks_of(twin) == blocks_of(marked)
    remove(twin)
    assert not blocks_of(twin)
    assert names(marked) == SITES


def test_wrappers_and_larger_models_give_the_names_a_prefix(marked):
    whole = nn.ModuleDict({"backbone": marked, "other": nn.DataParallel(copy.deepcopy(marked))})
    assert names(whole) == [f"{p}.{s}" for p in ("backbone", "other.module") for s in SITES]
    assert names(marked.layer2) == ["1"]
    assert set(whole.state_dict()._metadata) >= set(names(whole))


def test_the_state_dict_carries_the_placement_as_text(marked):
    buffer = io.BytesIO()
    torch.save(nn.ModuleDict({"net": marked}).state_dict(), buffer)
    buffer.seek(0)
    metadata = torch.load(buffer, weights_only=True)._metadata
    placement = Placement.from_data(json.loads(metadata["net.layer2.1"]["wholeframe"]))
    assert placement.recipe == blocks_of(marked)[1].recipe
    assert "wholeframe" not in metadata["net.layer1.1"]


def test_data_of_a_placement_goes_through_json(marked):
    for placement in blocks_of(marked):
        assert Placement.from_data(json.loads(json.dumps(placement.as_data()))) == placement
    with pytest.raises(ValueError, match="does not describe a block"):
        Placement.from_data({"site": "layer1"})


@pytest.mark.slow
def test_remove_leaves_no_trace(net):
    before = snapshot(net)
    insert(net, Same, at=SITES, example=IMAGE)
    remove(net, at="layer2.1")
    assert names(net) == SITES[:1]
    remove(net)
    assert_same(net, before)
    assert "wholeframe" not in str(net.state_dict()._metadata)


def test_remove_by_a_part_is_known_to_the_whole(marked):
    remove(marked.layer2)
    assert names(marked) == SITES[:1]


def test_a_wrapped_site_is_still_attached(marked):
    marked.layer2[1] = nn.Sequential(marked.layer2[1])
    assert names(marked) == SITES


def test_the_first_forward_after_a_loss_warns_once(marked):
    marked(IMAGE)
    marked.layer1[0].bn2 = nn.Identity()
    with pytest.warns(UserWarning, match=r"1 inserted block no longer runs \(layer1.0.bn2\)"):
        marked(IMAGE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        marked(IMAGE)
    assert [block.attached for block in blocks_of(marked)] == [False, True]


@pytest.mark.compiled
def test_exporting_after_a_loss_warns(marked):
    marked.eval().layer1[0].bn2 = nn.Identity()
    with pytest.warns(UserWarning, match=r"1 inserted block no longer runs \(layer1.0.bn2\)"):
        torch.export.export(marked, (IMAGE,))


def test_the_record_is_of_the_block_as_it_is(marked):
    marked.layer2[1].wholeframe = wf.GlobalContext(4)
    assert [block.block for block in blocks_of(marked)] == ["NonLocal", "GlobalContext"]
    wf.freeze_norms(marked)
    assert blocks_of(marked)[0].recipe["frozen"] == ["norm"]


def test_lost_blocks_are_forgotten_by_remove(marked):
    marked.layer1[0].bn2 = nn.SyncBatchNorm.convert_sync_batchnorm(marked.layer1[0].bn2)
    assert remove(marked, at="layer1.*.bn2") == ["layer1.0.bn2"]
    assert names(marked) == ["layer2.1"]
    assert not hasattr(marked.layer1[0].bn2, "wholeframe")


def test_a_block_of_another_package_has_no_recipe(net):
    insert(net, Same, at="layer2.1", example=IMAGE)
    (placement,) = blocks_of(net)
    assert placement.recipe is None
    assert placement.block == "Same"


def test_a_traced_part_is_not_lost(net):
    whole = nn.Sequential(net)
    insert(whole, Same, at="0.layer2.1", example=IMAGE)
    whole[0] = torch.fx.symbolic_trace(net)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole(IMAGE)
