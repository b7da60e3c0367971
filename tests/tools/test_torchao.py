"""torchao: weights of eight bits in the layers of every block."""

import copy

import pytest
import torch
from torch import nn

import wholeframe as wf

pytest.importorskip("torchao", reason="uv sync --extra tools installs torchao")
from torchao.quantization import Int8WeightOnlyConfig, quantize_


def of_a_block(layer, path):
    return ".wholeframe." in path and type(layer) is nn.Linear


@pytest.mark.parametrize("name", wf.BLOCKS)
def test_a_block_with_quantised_layers_is_near_the_block(name, moved):
    host = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(8))
    wf.insert(host, wf.BLOCKS[name].make, at="2", example=torch.zeros(2, 3, 16, 16))
    host, x = moved(host).eval(), torch.randn(2, 3, 16, 16)
    quantised = copy.deepcopy(host)
    quantize_(quantised, Int8WeightOnlyConfig(), filter_fn=of_a_block)
    with torch.no_grad():
        actual, exact = quantised(x), host(x)
    torch.testing.assert_close(actual, exact, rtol=0, atol=0.05 * float(exact.abs().max()))
