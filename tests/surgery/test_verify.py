"""Every block that a tool drops is named."""

import copy
import json

import pytest
import torch
from surgery_models import IMAGE, Net, Same
from torch import nn

import wholeframe as wf
from wholeframe.surgery.insert import insert
from wholeframe.surgery.record import blocks_of
from wholeframe.surgery.verify import refuse_lost, verify

SITES = ["layer1.0.bn2", "layer2.1"]


@pytest.fixture
def marked(net: Net) -> Net:
    insert(net, lambda c: wf.NonLocal(c, inner=2), at=SITES, example=IMAGE)
    return net


def test_counts_the_runs(marked):
    found = verify(marked, IMAGE)
    assert found.runs == (1, 1)
    assert "layer2.1: NonLocal" in str(found)
    assert "all 2 inserted blocks are attached" in str(found)
    assert not any(block._forward_hooks for name, block in marked.named_modules() if name.endswith("wholeframe"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (nn.SyncBatchNorm.convert_sync_batchnorm, "a SyncBatchNorm that has the block as a child and does not run it"),
        (lambda norm: nn.Identity(), "a tool has folded the batch norm away"),
        (lambda norm: nn.BatchNorm2d(norm.num_features), "its site is now a BatchNorm2d without it"),
    ],
)
def test_names_a_lost_block_and_the_cause(marked, change, words):
    marked.layer1[0].bn2 = change(marked.layer1[0].bn2)
    for check in (verify, refuse_lost):
        with pytest.raises(ValueError, match=r"1 of 2 inserted blocks is lost:\n.*'layer1.0.bn2' \(NonLocal\)") as seen:
            check(marked)
        assert words in str(seen.value)


def test_names_a_site_that_is_gone(marked):
    marked.layer2 = nn.Identity()
    with pytest.raises(ValueError, match=r"'layer2.1' .*: its site no longer exists"):
        verify(marked)


def test_names_a_block_that_never_runs(net):
    net.skip = False
    insert(net, Same, at="layer2.1", example=IMAGE)
    net.layer2.forward = lambda x: net.layer2[0](x)
    with pytest.raises(ValueError, match=r"never run .* the blocks at 'layer2.1' \(Same\)"):
        verify(net, IMAGE)


def test_without_a_record_there_is_nothing_to_verify(net):
    with pytest.raises(ValueError, match="no inserted blocks and no record of any"):
        verify(net)
    refuse_lost(net)


def test_an_example_that_does_not_fit(marked):
    assert verify(marked, IMAGE).uncounted is None
    with pytest.raises(ValueError, match="does not run on the given example="):
        verify(marked, torch.zeros(1, 4, 8, 8))
    marked.register_forward_pre_hook(refuse_large)
    found = verify(marked)
    assert "default image" in str(found.uncounted)
    assert "not known whether they run" in str(found)


def refuse_large(_module, args):
    if args[0].shape[-1] > 100:
        raise RuntimeError("too large")


def test_a_traced_network_needs_the_blocks_of_the_original(net):
    insert(net, Same, at=SITES, example=IMAGE)
    traced = torch.fx.symbolic_trace(net)
    data = [block.as_data() for block in blocks_of(net)]
    for blocks in (blocks_of(net), data, json.dumps(data)):
        verify(traced, IMAGE, blocks=blocks)
    for blocks, words in ((3, "blocks= is a int; give"), ("[", "blocks= is text that is not JSON")):
        with pytest.raises(ValueError, match=words):
            verify(traced, IMAGE, blocks=blocks)
    lost = torch.fx.symbolic_trace(Net())
    with pytest.raises(ValueError, match="2 of 2 inserted blocks are lost"):
        verify(nn.DataParallel(lost), blocks=blocks_of(net))


@pytest.mark.compiled
@pytest.mark.slow
def test_a_network_that_is_compiled_elsewhere_takes_no_block(net):
    """Compiled code does not look for new hooks, so its output would stay without the block in silence."""
    compiled = torch.compile(net, backend="eager")
    compiled(IMAGE)
    for change in (lambda: insert(net, Same, at="layer2.1", example=IMAGE), lambda: wf.remove(net)):
        with pytest.raises(ValueError, match=r"torch.compile of this model is alive"):
            change()
    del compiled
    insert(net, Same, at="layer2.1", example=IMAGE)


@pytest.mark.compiled
def test_compiled_and_wrapped_networks(marked):
    marked.eval()
    compiled = torch.compile(copy.deepcopy(marked), backend="eager")
    torch.testing.assert_close(compiled(IMAGE), marked(IMAGE))
    assert verify(compiled, IMAGE).runs == (1, 1)
    assert verify(nn.DataParallel(marked), IMAGE).runs == (1, 1)
