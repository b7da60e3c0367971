"""Blocks are not inserted into networks that are wrapped already, nor removed from them."""

import pytest
import torch
import torch.distributed as dist
from surgery_models import IMAGE, Net, Same
from torch import nn

import wholeframe as wf


@pytest.fixture
def group():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.slow
def test_a_wrapped_network_is_refused(net: Net, group):
    wrapped = nn.parallel.DistributedDataParallel(net)
    for model, where in ((wrapped, "the model is"), (nn.Sequential(wrapped), "'0' in the model is")):
        with pytest.raises(ValueError, match=f"{where} wrapped in DistributedDataParallel.*first, then wrap"):
            wf.insert(model, Same, at="*", example=IMAGE)
    for inside in (net, net.layer1):
        with pytest.raises(ValueError, match="a network that contains the model is wrapped in DistributedDataParallel"):
            wf.insert(inside, Same, at="*", example=IMAGE)


def test_blocks_of_a_wrapped_network_are_seen_and_not_removed(net: Net, group):
    wf.insert(net, Same, at="layer2.1", example=IMAGE)
    wrapped = nn.parallel.DistributedDataParallel(net)
    assert [block.site for block in wf.blocks_of(wrapped)] == ["module.layer2.1"]
    assert wf.verify(wrapped, IMAGE).runs == (1,)
    with pytest.raises(ValueError, match="insert and remove blocks first, then wrap"):
        wf.remove(wrapped)
    assert torch.isfinite(wrapped(IMAGE)).all()


def test_data_parallel_is_refused(net: Net):
    with pytest.raises(ValueError, match="wrapped in DataParallel"):
        wf.insert(nn.DataParallel(net), Same, at="module.layer2.1", example=IMAGE)
