"""Norms of weights, pruning and dynamic quantisation of torch, on every layer of every block."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

import wholeframe as wf

TOOLS = {
    "spectral_norm": spectral_norm,
    "weight_norm": weight_norm,
    "parametrizations.spectral_norm": parametrizations.spectral_norm,
    "parametrizations.weight_norm": parametrizations.weight_norm,
    "prune": lambda layer: prune.l1_unstructured(layer, "weight", amount=0.5),
}
LAYERS = (nn.Linear, nn.Conv1d)

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning"),
]


def network(name, moved):
    host = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(8))
    wf.insert(host, wf.BLOCKS[name].make, at="2", example=torch.zeros(2, 3, 16, 16))
    return moved(host)


def layers_of(host):
    """By path; a parametrisation gives the layer a class of its own, made from its class."""
    return {path: layer for path, layer in host.named_modules() if ".wholeframe." in path and isinstance(layer, LAYERS)}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", wf.BLOCKS)
def test_a_changed_layer_applies_and_trains(name, tool, moved):
    host, x = network(name, moved), torch.randn(4, 3, 16, 16)
    plain = copy.deepcopy(host)
    for layer in layers_of(host).values():
        TOOLS[tool](layer)
    start = {path: parameter.detach().clone() for path, parameter in host.named_parameters()}
    optimiser = torch.optim.Adam(host.parameters(), lr=0.01)
    for _ in range(5):
        optimiser.zero_grad()
        host(x).square().mean().backward()
        optimiser.step()
    after = dict(host.named_parameters())
    still = [path for path in start if torch.equal(after[path], start[path])]
    assert not [path for path in still if not path.endswith("logits.bias")], "weights without a gradient"

    # The values that the layers have now, in plain layers, give the same output.
    host.eval(), plain.eval()
    state = {key: value for key, value in host.state_dict().items() if key in plain.state_dict()}
    with torch.no_grad():
        actual = host(x)
        values = {path: layer.weight.detach().clone() for path, layer in layers_of(host).items()}
        plain.load_state_dict({**state, **{f"{path}.weight": value for path, value in values.items()}})
        torch.testing.assert_close(actual, plain(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", wf.BLOCKS)
def test_a_hook_on_a_layer_fires_and_counts(name, moved):
    host, x = network(name, moved).eval(), torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        for path, layer in layers_of(host).items():
            before = host(x)
            handle = layer.register_forward_hook(lambda _, __, output: 3 * output)
            after = host(x)
            handle.remove()
            assert not torch.equal(before, after), path


@pytest.mark.parametrize("name", wf.BLOCKS)
def test_dynamic_quantisation_is_near_the_float_output(name, moved):
    host, x = network(name, moved).eval(), torch.randn(4, 3, 16, 16)
    quantised = torch.ao.quantization.quantize_dynamic(host, {nn.Linear}, dtype=torch.qint8)
    # The step of 8 bits is 1/127 of the largest number. A block multiplies up to three maps of five layers.
    with torch.no_grad():
        exact = host(x)
        torch.testing.assert_close(quantised(x), exact, rtol=0, atol=15 / 127 * float(exact.abs().max()))
