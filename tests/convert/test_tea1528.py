"""tea1528's block: each of its kinds in float64, outputs and every gradient by name."""

import pytest
import torch
from reference_nets import PairBlock, randomise

from wholeframe import convert
from wholeframe.convert import SOURCES

CONSTRUCTOR = {"in_channels": 8, "inter_channels": 4, "dimension": 2}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("mode", ["gaussian", "embedded", "dot", "concatenate"])
def test_each_kind_gives_the_same(mode, norm, training):
    torch.manual_seed(0)
    theirs = randomise(PairBlock(8, 4, mode, "tea1528", norm=norm), (2, 8, 5, 4))
    ours = convert.block("tea1528.NLBlockND", {**CONSTRUCTOR, "mode": mode, "bn_layer": norm}, theirs.state_dict())
    ours.train(training)
    theirs.train(training)
    x, z = (torch.randn(2, 8, 5, 4, dtype=torch.float64).requires_grad_() for _ in range(2))
    z.data.copy_(x.data)
    weight = torch.randn(2, 8, 5, 4, dtype=torch.float64)
    expected, y = theirs(x), ours(z)
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)
    (weight * expected).sum().backward()
    (weight * y).sum().backward()
    torch.testing.assert_close(z.grad, x.grad, rtol=1e-10, atol=1e-10)
    gradients = {SOURCES["tea1528.NLBlockND"].rename(key): p.grad for key, p in theirs.named_parameters()}
    assert gradients.keys() == dict(ours.named_parameters()).keys()
    assert ("w_f.bias" in gradients) == (mode == "concatenate")
    for name, parameter in ours.named_parameters():
        expected = gradients[name].reshape(parameter.shape)
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-10, atol=1e-10, msg=name)


def test_it_never_pools_and_never_scales():
    block = convert.block("tea1528.NLBlockND", {"in_channels": 16})
    assert (block.kind, block.inner, block.pool, block.scale) == ("embedded_gaussian", 8, 1, None)
    assert convert.block("tea1528.NLBlockND", {"in_channels": 1}).inner == 1


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"mode": "dot_product"}, "mode='dot_product' has no counterpart here; give one of 'gaussian', 'embedded'"),
        ({"dimension": 4}, "dimension=4 has no counterpart here; give 1, 2 or 3"),
        ({"sub_sample": True}, "tea1528.NLBlockND has no argument 'sub_sample'"),
    ],
)
def test_refusals(argument, message):
    with pytest.raises(ValueError, match=message):
        convert.block("tea1528.NLBlockND", {"in_channels": 8, **argument})
