"""Proxies of a tracer, and maps that no block takes."""

import pickle

import pytest
import torch
import torchvision
from torch import fx, nn
from torchvision.models.feature_extraction import create_feature_extractor

from wholeframe.blocks import BAT, BLOCKS, CBAM, GatherExcite, GSoP, ISqrtCov

MAKERS = {name: entry.make for name, entry in BLOCKS.items()} | {
    "bat": lambda c: BAT(c, size=2),
    "cbam": CBAM,
    "gather_excite": lambda c: GatherExcite(c, extent=2),
    "gsop": GSoP,
}
ALL = MAKERS | {"isqrt": ISqrtCov}


def network(name):
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=3).eval()
    model.layer1.add_module("block", MAKERS[name](64).eval())
    return model


@pytest.mark.slow_beyond(6)
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", MAKERS)
def test_a_block_is_one_call_of_a_traced_network(name):
    model, x = network(name), torch.randn(1, 3, 32, 32)
    traced = fx.symbolic_trace(model)
    assert [node.target for node in traced.graph.nodes].count("layer1.block") == 1
    assert traced.state_dict().keys() == model.state_dict().keys()
    for other in (traced, pickle.loads(pickle.dumps(traced))):
        assert torch.equal(other(x), model(x))


@pytest.mark.usefixtures("unchecked")
def test_hooks_of_a_block_run_in_the_traced_network():
    model, fired = network("nl"), []
    traced = fx.symbolic_trace(model)
    traced.layer1.block.register_forward_hook(lambda *_: fired.append(1))
    traced(torch.randn(1, 3, 32, 32))
    assert fired


@pytest.mark.slow_beyond(6)
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", MAKERS)
def test_a_feature_extractor_stops_at_a_block(name):
    model, x = network(name), torch.randn(1, 3, 32, 32)
    extractor = create_feature_extractor(model, ["layer1.block"])
    expected = model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(x)))))
    assert torch.equal(extractor(x)["layer1.block"], expected)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ALL)
def test_a_block_alone_cannot_be_traced(name):
    with pytest.raises(ValueError, match="root of the trace; trace the network that contains it"):
        fx.symbolic_trace(ALL[name](64))
    assert fx.symbolic_trace(nn.Sequential(ALL[name](64)))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.randn(2, 64), r"takes maps \(b, c, \*grid\), and the shape \(2, 64\) has no grid; add one"),
        (
            torch.randn(2, 32, 4, 4),
            r"\(b, 64, \*grid\), and the shape \(2, 32, 4, 4\) has 32 channels; build it with 32",
        ),
        (torch.ones(2, 64, 4, 4, dtype=torch.int64), r"floating-point numbers, got torch.int64; give x.float\(\)"),
        (torch.ones(2, 64, 4, 4, dtype=torch.complex64), "floating-point numbers, got torch.complex64"),
        (torch.randn(2, 64, 0, 4), r"the map \(2, 64, 0, 4\) has an empty grid"),
    ],
)
@pytest.mark.parametrize("name", ALL)
def test_a_map_that_cannot_be_is_refused(name, x, message):
    with pytest.raises(ValueError, match=message):
        ALL[name](64)(x)
