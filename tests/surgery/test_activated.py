"""Batch norms with an activation inside keep it, and those that do something else are refused."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import wholeframe as wf
from wholeframe.surgery.activated import AffineThen, SyncBatchNormThen

CONVERT = [wf.sync_batchnorm, wf.freeze_norms]


class NormAct(nn.BatchNorm2d):
    """As timm's `BatchNormAct2d`, with weights of its own in the activation."""

    def __init__(self, channels):
        super().__init__(channels)
        self.act = nn.PReLU(channels)

    def forward(self, x):
        return self.act(super().forward(x))


class Functional(nn.BatchNorm2d):
    """The activation is not a child."""

    def forward(self, x):
        return F.relu(super().forward(x))


class Before(NormAct):
    """The activation comes first."""

    def forward(self, x):
        return nn.BatchNorm2d.forward(self, self.act(x))


class Renamed(nn.BatchNorm2d):
    """A subclass that computes the same."""


def network(norm):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norm(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    model.train()(torch.randn(8, 3, 9, 9))
    return model.eval()


@pytest.mark.parametrize("convert", CONVERT)
@pytest.mark.parametrize("norm", [nn.BatchNorm2d, Renamed, NormAct])
def test_the_output_stays(convert, norm):
    model, x = network(norm), torch.randn(2, 3, 9, 9)
    expected, keys = model(x), model.state_dict().keys()
    convert(model)
    torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-6)
    assert model.state_dict().keys() <= keys
    assert isinstance(model[1], (SyncBatchNormThen, AffineThen)) == (norm is NormAct)


@pytest.mark.parametrize("convert", CONVERT)
@pytest.mark.parametrize("norm", [Functional, Before])
def test_a_layer_that_does_something_else_is_refused(convert, norm):
    model = network(norm)
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match=rf"the {norm.__name__} '1' computes more than a batch norm followed by"):
        convert(model)
    assert repr(model) == repr(before)


@pytest.mark.parametrize("convert", CONVERT)
def test_a_layer_with_a_hook_is_refused(convert):
    model = network(nn.BatchNorm2d)
    model[1].register_forward_hook(lambda module, args, y: 2 * y)
    with pytest.raises(ValueError, match="the BatchNorm2d '1' has a hook"):
        convert(model)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, NormAct])
def test_a_synchronised_site_keeps_block_and_record(norm):
    model, x = network(norm), torch.randn(2, 3, 9, 9)
    wf.insert(model, lambda c: wf.GlobalContext(c, hidden=2, fusion="multiply"), at="1", example=x)
    expected, blocks = model(x), wf.blocks_of(model)
    wf.sync_batchnorm(model)
    assert isinstance(model[1], nn.SyncBatchNorm)
    assert torch.equal(model(x), expected)
    assert wf.blocks_of(model) == blocks
    assert "wholeframe" in model.state_dict()._metadata["1"]


@pytest.mark.parametrize("convert", CONVERT)
def test_the_networks_of_timm(convert):
    timm = pytest.importorskip("timm")
    model, x = timm.create_model("efficientnet_b0", num_classes=5).eval(), torch.randn(1, 3, 32, 32)
    expected = model(x)
    convert(model)
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
