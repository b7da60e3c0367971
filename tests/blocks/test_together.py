"""theta, phi and g as rows of one layer: the same function, and one copy of the weights."""

import copy
import pickle
from functools import partial

import pytest
import torch

import wholeframe as wf
from wholeframe.blocks.together import merge

X = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
BLOCKS = {
    **{f"nl {kind}": partial(wf.NonLocal, kind=kind) for kind in ("embedded_gaussian", "dot", "concatenation")},
    "nl before": partial(wf.NonLocal, pool=2, pool_order="before"),
    "nl after": partial(wf.NonLocal, pool=2, bias=False),
    "nl frames": partial(wf.NonLocal, kind="euclidean_gaussian"),
    "cgnl": wf.CGNL,
    "cgnl rbf": partial(wf.CGNL, kernel="rbf", groups=2),
}


def merged(name):
    block = BLOCKS[name](8, init="random").double().eval()
    other = copy.deepcopy(block)
    merge(other, ("theta", "phi", "g"))
    return block, other


@torch.no_grad()
@pytest.mark.parametrize("name", BLOCKS)
def test_it_computes_the_same(name):
    block, other = merged(name)
    for x in (X, X[:1], X.to(memory_format=torch.channels_last)):
        assert torch.allclose(block(x), other(x), rtol=1e-12, atol=1e-13)
    for one, two in zip(block.looks(X, [0, 7]), other.looks(X, [0, 7]), strict=True):
        assert torch.allclose(one.weights, two.weights, rtol=1e-12, atol=1e-13)


@torch.no_grad()
def test_copies_and_moved_blocks_have_one_copy_of_the_weights():
    block, other = merged("nl after")
    assert sum(p.numel() for p in block.parameters()) == sum(p.numel() for p in other.parameters())
    for again in (copy.deepcopy(other), pickle.loads(pickle.dumps(other)), copy.deepcopy(other).float().double()):
        again.together.weight.zero_()
        assert not again.phi.weight.any()
        again.load_state_dict(other.state_dict())
        assert torch.allclose(again(X), block(X), atol=1e-6)


def test_the_concatenation_of_weights_is_gone():
    _, other = merged("nl after")
    with torch.no_grad(), torch.profiler.profile() as seen:
        other(X)
    assert "aten::cat" not in {event.key for event in seen.key_averages()}
