"""What a network is apart from its tensors, and the attributes that a file keeps."""

import pytest
from torch import nn

from wholeframe.store.structure import difference, lines, set_settings, settings


def test_the_first_module_that_differs():
    here, there = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), nn.Sequential(nn.Conv2d(3, 4, 1), nn.GELU())
    assert difference(lines(here), lines(here), "there") is None
    assert difference(lines(here), lines(there), "there") == (
        "its module '1' is ReLU(), and GELU(approximate='none') there"
    )


def test_attributes_of_modules_of_one_class_alone():
    here = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.MaxPool2d(2))
    assert settings(here, nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))) == {"0": {"stride": (2, 2)}}
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(3, 1))
    set_settings(other, {"0": {"stride": [2, 2]}, "1": {"kernel_size": 2, "stride": 2}})
    assert not settings(here, other) and str(other) == str(here)


@pytest.mark.parametrize(
    "given", [{"2": {"p": 1}}, {"0": {"forward": 1}}, {"0": {"stride": {}}}, {"0": {"training": 1}}]
)
def test_attributes_that_are_not_plain(given):
    with pytest.raises(ValueError, match="has no plain attribute"):
        set_settings(nn.Sequential(nn.Conv2d(3, 4, 3)), given)
