"""Blocks that the output does not depend on are named in the report."""

import pytest
import torch
from surgery_hosts import Transformer
from surgery_models import Net
from torch import Tensor, nn

import wholeframe as wf
from wholeframe.surgery.insert import insert

IMAGE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class ReadsTheClassToken(Transformer):
    """As vision transformers do; a layer mixes all tokens, so that earlier blocks reach the class token."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x)
        for layer in self.layers:
            y = layer(y + y.mean(1, keepdim=True))
        return self.head(self.norm(y)[:, 0])


@pytest.mark.parametrize("init", ["identity", "random"])
def test_a_block_after_the_last_layer_of_a_class_token_network_does_not_train(init: str):
    torch.manual_seed(0)
    model = ReadsTheClassToken(24, extra=1)
    report = insert(model, lambda c: wf.NonLocal(c, init=init), at="layers.*", example=IMAGE)
    assert [row.remark for row in report.rows] == [
        None,
        "the model's output does not depend on this block, so it does not train",
    ]
    assert "layers.1: the model's output does not depend on this block" in str(report)
    model(IMAGE).square().sum().backward()
    blocks = {row.site: model.get_submodule(row.site).wholeframe for row in report.rows}
    moving = {site: any(p.grad.any() for p in block.parameters()) for site, block in blocks.items()}
    assert moving == {"layers.0": True, "layers.1": False}


def test_blocks_with_influence_have_no_remark():
    report = insert(Net().eval(), wf.SimplifiedNonLocal, at="layer*.*", example=IMAGE)
    assert not any(row.remark for row in report.rows) and len(str(report).splitlines()) == 6


def test_a_model_with_a_head_of_zeros_shows_nothing():
    model = ReadsTheClassToken(24, extra=1)
    nn.init.zeros_(model.head.weight)
    assert not any(row.remark for row in insert(model, wf.SimplifiedNonLocal, at="layers.*", example=IMAGE).rows)


def test_a_branch_that_is_thrown_away():
    class Auxiliary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.side = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.body(x)
            self.side(y)
            return y

    rows = insert(Auxiliary(), wf.SimplifiedNonLocal, at=["body", "side"], example=IMAGE).rows
    assert [row.remark is None for row in rows] == [True, False]
