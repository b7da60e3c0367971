"""Networks run without values where they can, with values where they must, and never change."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from wholeframe.models.valueless import Valueless
from wholeframe.surgery.probe import as_call


class Reads(nn.Module):
    """Reads a value of its input."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(4), nn.Dropout()

    def forward(self, x):
        self.seen = x
        return self.drop(self.norm(x)) if x.sum().item() < 1e9 else x


def run(network, call):
    network.train()
    return network(*call.args)


def test_nothing_is_computed():
    network = nn.BatchNorm1d(4)
    output = Valueless(network, as_call(network, torch.randn(3, 4))).run(run, changes=True)
    assert isinstance(output, FakeTensor) and output.shape == (3, 4)
    assert network.running_mean.eq(0).all() and network.num_batches_tracked == 0


def test_a_network_that_reads_values_runs_with_them():
    network, x = Reads(), torch.randn(3, 4)
    before = torch.get_rng_state()
    output = Valueless(network, as_call(network, x)).run(run, changes=True)
    assert type(output) is torch.Tensor and output.any()
    assert network.norm.running_mean.eq(0).all() and not hasattr(network, "seen")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("changes", [True, False])
def test_the_error_is_that_of_the_network(changes):
    network = nn.Conv2d(3, 4, 1)
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 5"):
        Valueless(network, as_call(network, torch.randn(1, 5, 4, 4))).run(run, changes=changes)


def test_networks_without_values_run_as_they_are():
    with FakeTensorMode():
        network = nn.BatchNorm1d(4)
        given = Valueless(network, as_call(network, torch.randn(3, 4)))
        assert not given.has_values and isinstance(given.run(run, changes=True), FakeTensor)
        lone = as_call(network, torch.randn(1, 4))
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            Valueless(network, lone).run(run, changes=True)
    meta = nn.Linear(4, 2, device="meta")
    assert Valueless(meta, as_call(meta, torch.empty(3, 4, device="meta"))).run(run, changes=True).is_meta


def test_attributes_that_cannot_be_copied():
    network = nn.Sequential(nn.Linear(4, 2))
    network.lock = (n for n in range(3))  # a generator
    given = Valueless(network, as_call(network, torch.randn(3, 4)))
    assert given.run(run, changes=False).shape == (3, 2)
    with pytest.raises(TypeError, match="generator"):
        given.run(run, changes=True)
