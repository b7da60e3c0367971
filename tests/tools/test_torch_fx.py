"""torch.fx: a block is a leaf of the graph, in every network that has one."""

import copy

import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

import wholeframe as wf

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch")


@pytest.fixture(params=wf.BLOCKS)
def network(request, moved):
    model = resnet18(weights=None, num_classes=5)
    wf.insert(model, wf.BLOCKS[request.param].make, at=["layer3.1", "layer4.0.bn2"], example=torch.zeros(2, 3, 64, 64))
    return moved(model).eval()


def calls(graph_module):
    """The blocks that the graph calls."""
    return [
        node.target
        for node in graph_module.graph.nodes
        if node.op == "call_module" and node.target.endswith("wholeframe")
    ]


def test_symbolic_trace_keeps_the_blocks(network):
    traced, x = torch.fx.symbolic_trace(network), torch.rand(2, 3, 64, 64)
    assert torch.equal(traced(x), network(x))
    assert traced.state_dict().keys() == network.state_dict().keys()
    wf.verify(traced, blocks=wf.blocks_of(network))


def test_a_traced_network_trains_its_blocks(network):
    traced = torch.fx.symbolic_trace(copy.deepcopy(network))
    x = torch.rand(4, 3, 64, 64)
    traced.train()(x).square().mean().backward()
    without = [name for name, p in traced.named_parameters() if ".wholeframe." in name and p.grad is None]
    assert not without


@pytest.mark.parametrize("node", ["layer3.1", "layer4"])
def test_a_feature_extractor_returns_the_map_after_the_block(network, node):
    x, seen = torch.rand(2, 3, 64, 64), []
    handle = network.get_submodule(node).register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        network(x)
    handle.remove()
    _, names = get_graph_node_names(network)
    name = max((name for name in names if name == node or name.startswith(f"{node}.")), key=names.index)
    extractor = create_feature_extractor(network, {name: "map"})
    with torch.no_grad():
        torch.testing.assert_close(extractor(x)["map"], seen[0], rtol=0, atol=0)


def test_a_feature_extractor_by_the_name_of_a_stage(network):
    """`return_nodes={"layer4": ...}` is what detectors and segmenters of torchvision write."""
    x = torch.rand(2, 3, 64, 64)
    extractor = create_feature_extractor(network, {"layer4": "map"})
    with torch.no_grad():
        expected = nn.Sequential(*list(network.children())[:-2])(x)
        assert torch.equal(extractor(x)["map"], expected)
