"""Memory in tensors, counted by hand: what training keeps, and the peak of inference."""

import pytest
import torch
from torch import nn

import wholeframe as wf
from wholeframe.models.activations import kept, peaks
from wholeframe.models.turns import in_turns
from wholeframe.models.valueless import Valueless
from wholeframe.surgery.probe import as_call

MIB = 2**20


def found(measure, network, *x):
    return {name: size for name, size in measure(network, as_call(network, x)).items() if size}


@pytest.fixture
def network():
    """8 x 8 to 4 x 4: a map of 2 samples has 512 bytes, the classes of 2 samples 40."""
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 5))


def test_by_hand(network):
    x = torch.randn(2, 3, 8, 8)
    # The convolution keeps the input, which is given; the norm its input, 4 means and 4 deviations.
    assert found(kept, network, x) == {"1": 512 + 32, "3": 512}
    # The norm has two maps; then the map of the convolution is gone.
    assert found(peaks, network, x) == {"0": 512, "1": 1024, "2": 512, "3": 552}


def test_a_map_that_two_layers_read_counts_once():
    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.left, self.right = (nn.Conv2d(4, 4, 1, bias=False) for _ in range(3))

        def forward(self, x):
            x = self.stem(x)
            return self.left(x) * self.right(x.view(1, 4, 16, 4))[..., 0].sum()

    # 1 x 4 x 8 x 8 numbers of 4 bytes; the product keeps the map on its left and the one number on its right.
    assert found(kept, Fork(), torch.randn(1, 4, 8, 8)) == {"left": 1024, "": 1024 + 4}


def test_frozen_layers_keep_nothing(network):
    network.requires_grad_(False)
    assert found(kept, network, torch.randn(2, 3, 8, 8)) == {}


@pytest.mark.slow_beyond(3)
@pytest.mark.parametrize("name", wf.BLOCKS)
def test_tensors_without_values_need_as_much(name):
    """The same way through each block: shapes choose it. Only the RBF has fewer features for values that are near."""
    network = nn.Sequential(nn.Conv2d(3, 64, 1), wf.BLOCKS[name].make(64))
    call = as_call(network, torch.randn(2, 3, 14, 14))
    without = Valueless(network, call)
    assert without.shadow is not None and without.has_values
    assert without.run(kept, changes=True) == kept(network, call)
    highest, with_values = without.run(peaks, changes=True), peaks(network, call)
    if name == "cgnl_rbf":
        assert highest.pop("1") >= with_values.pop("1")
    assert highest == with_values


def test_the_allocator_sees_the_same_peak():
    """Three maps of 4 MiB, two at one time, in a pass without scratch space."""
    network = nn.Sequential(*(nn.ReLU() for _ in range(3)), nn.Linear(1024, 1))
    x = torch.randn(1, 1024, 1024)
    assert max(found(peaks, network, x).values()) == 8 * MIB
    assert in_turns({"it": network}, x, turns=1)["it"]["inference"].mib == pytest.approx(8, abs=0.1)


def test_sparse_tensors_have_no_storage():
    class Sparse(nn.Module):
        def forward(self, x):
            return x + torch.eye(4).to_sparse().to_dense()

    assert found(peaks, Sparse(), torch.zeros(4, 4))[""] >= 64
