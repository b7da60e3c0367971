"""Named networks are built, exported and compiled, and give the same outputs each time.

A network that differs from another only by having more layers has the same operations, and is left out. Of the others a
seeded sample is tried: each block is exported and compiled alone in `tests/laws`, each network is counted, and
`tests/tools` exports a network of every kind to ONNX.
"""

import random
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import wholeframe as wf
from wholeframe.surgery.placement import has_block

pytestmark = pytest.mark.slow

DEPTHS = {"r34": "r18", "r101": "r50", "r152": "r50"}  # the other depth of the same residual blocks
SHALLOWER = {name: "_".join(DEPTHS.get(part, part) for part in name.split("_")) for name in wf.MODELS}
DEEPER = [name for name, other in SHALLOWER.items() if other != name and other in wf.MODELS]
CLASSIFIERS = [name for name, card in wf.MODELS.items() if name not in DEEPER and not card.counted]
NAMES = random.Random(0).sample(CLASSIFIERS, 4)


class Case(NamedTuple):
    network: nn.Module
    batch: Tensor
    outputs: Tensor


@pytest.fixture(scope="module", params=NAMES)
def case(request):
    """A network whose blocks all change the output, so that the loss of a block shows.

    `insert` has checked identities at initialisation while building. Zero weights are drawn at random here, and the
    norms take their statistics from the batch.
    """
    torch.manual_seed(0)
    network = wf.create_model(request.param, 3).requires_grad_(False)
    frames = wf.MODELS[request.param].input[1:-2]
    batch = torch.randn(2, 3, *((min(frames[0], 32), 48, 48) if frames else (64, 64)))
    for module in network.modules():
        if has_block(module):
            for parameter in module.wholeframe.parameters():
                if not parameter.any():
                    nn.init.normal_(parameter, std=0.1)
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.5  # keeps the scale of the maps near one, also in channels of little variance
    network(batch)
    return Case(network.eval(), batch, network(batch))


def alike(found, expected):
    """To 1e-4 of the largest number."""
    scale = expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * scale)


def test_a_network_is_exported(case):
    size = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(case.network, (case.batch,), dynamic_shapes=({0: size},)).module()
    alike(exported(case.batch[:1]), case.outputs[:1])


@pytest.mark.compiled
def test_a_network_compiles(case):
    compiled = torch.compile(case.network, fullgraph=True, backend="aot_eager")
    alike(compiled(case.batch), case.outputs)
    torch.compiler.reset()
