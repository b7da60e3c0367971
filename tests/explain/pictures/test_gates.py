"""Gates as bars, and a covariance as a matrix."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from wholeframe.explain.pictures.gates import extremes, paint_covariance, paint_gates


def bars(record, gates):
    axis = Figure().add_subplot()
    paint_gates(axis, record(gates, "channel"))
    (stairs,) = axis.patches
    return stairs.get_data().values, axis.get_xlabel()


def test_few_channels_are_in_their_order(record):
    gates = torch.rand(64, generator=torch.Generator().manual_seed(0))
    drawn, label = bars(record, gates)
    assert drawn == pytest.approx(gates.numpy()) and label == "channel"


def test_many_channels_are_sorted_and_the_axis_says_so(record):
    gates = torch.rand(65, generator=torch.Generator().manual_seed(0))
    drawn, label = bars(record, gates)
    assert drawn == pytest.approx(np.sort(gates.numpy())[::-1]) and "from the largest gate on" in label


def test_the_largest_in_words(record):
    gates = torch.tensor([0.1, 0.9, 0.5, 0.7])
    assert extremes(record(gates, "channel")) == "0.1 to 0.9, mean 0.55; largest: 1, 3, 2"


def test_zero_is_white_in_a_covariance(record):
    axis = Figure().add_subplot()
    paint_covariance(axis, record(torch.ones(2), "channel", covariance=torch.tensor([[3.0, -1.0], [-1.0, 0.0]])))
    (image,) = axis.images
    assert (image.norm.vmin, image.norm.vmax) == (-3, 3)
    assert image.cmap(image.norm(0.0))[:3] == pytest.approx((1, 1, 1), abs=0.05)
