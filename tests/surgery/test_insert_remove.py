"""`remove` returns the model of before."""

import pytest
import torch
from surgery_models import IMAGE, Net, Plus, Same, assert_same, give, snapshot

from wholeframe.surgery.insert import insert, remove


def test_all_gives_the_old_model(net: Net):
    before, output = snapshot(net), give(net, IMAGE)
    insert(net, Plus, at=["layer1.*", "neck", "layer1.0.bn2"], example=IMAGE)
    assert not torch.equal(give(net, IMAGE), output)
    assert remove(net) == ["layer1.0", "layer1.0.bn2", "layer1.1", "neck.1.1"]
    assert_same(net, before)
    assert torch.equal(give(net, IMAGE), output)


@pytest.mark.slow
def test_some(net: Net):
    insert(net, Same, at=["layer[12].*", "neck"], example=IMAGE)
    assert remove(net, at="layer2") == ["layer2.1"]
    assert remove(net, at=["layer2.*", "layer1.0"]) == ["layer1.0", "layer2.0"]
    assert remove(net) == ["layer1.1", "neck.1.1"]


def test_keeps_other_hooks(net: Net):
    runs = []
    net.layer1[0].register_forward_hook(lambda *_: runs.append(1))
    insert(net, Same, at="layer1.0", example=IMAGE)
    net.layer1[0].register_forward_hook(lambda *_: runs.append(2))
    remove(net)
    runs.clear()
    give(net, IMAGE)
    assert runs == [1, 2]


@pytest.mark.slow
def test_refuses(net: Net):
    with pytest.raises(ValueError, match="the model has no blocks to remove"):
        remove(net)
    insert(net, Same, at="layer1.*", example=IMAGE)
    before = snapshot(net)
    for at in ("layer2.*", "nothing", ["layer1.0", "layer3"]):
        with pytest.raises(ValueError, match=r"matches no block; there are blocks at 'layer1.0', 'layer1.1'"):
            remove(net, at=at)
        assert_same(net, before)


@pytest.mark.slow
def test_insert_after_remove(net: Net):
    insert(net, Same, at="layer1.0", example=IMAGE)
    remove(net)
    assert insert(net, Same, at="layer1.0", example=IMAGE).unchanged
