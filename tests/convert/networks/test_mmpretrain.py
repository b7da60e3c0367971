"""SE-ResNets of mmpretrain: a gate before every sum, a classifier."""

from functools import partial

import timm
import torch
from image_layouts import draw, gate_forward, hooked, prefixed, randomised, saved

import wholeframe as wf

IMAGE = torch.randn(2, 3, 40, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_gate_before_every_sum(tmp_path):
    torch.manual_seed(0)
    theirs = randomised(timm.create_model("resnet50", layers=[1, 2, 1, 1], channels=[8, 8, 16, 16], num_classes=5))
    state = {f"{'head.' if k.startswith('fc.') else 'backbone.'}{k}": t for k, t in theirs.state_dict().items()}
    gates = {}
    for place, channels in {"1.0": 32, "2.0": 32, "2.1": 32, "3.0": 64, "4.0": 64}.items():
        reduce, expand = [draw(8, channels, 1, 1), draw(8)], [draw(channels, 8, 1, 1), draw(channels)]
        gates[f"layer{place}.bn3"] = partial(gate_forward, reduce, expand)
        layers = {"conv1": reduce, "conv2": expand}
        named = {
            f"{name}.conv.{kind}": t
            for name, pair in layers.items()
            for kind, t in zip(("weight", "bias"), pair, strict=True)
        }
        state |= prefixed(f"backbone.layer{place}.se_layer.", named)
    converted = wf.convert.checkpoint(saved(tmp_path, state))
    torch.testing.assert_close(converted.network(IMAGE), hooked(theirs, gates)(IMAGE))
    assert converted.source == "mmpretrain"
    assert list(converted.blocks) == list(gates)
    assert converted.network(IMAGE).shape == (2, 5)
    assert set(converted.report.loaded.values()) == state.keys()
