"""A VGG with second-order pooling, from its widths."""

import pytest
import torch

from wholeframe.models.vgg_shaped import ShapedVGG

LAYERS = [8, "M", 12]


def test_names_and_sizes():
    network = ShapedVGG(LAYERS, 5, hidden=[7], pool={"inner": 4})
    assert [name for name, _ in network.named_children()] == ["features", "representation", "classifier"]
    assert (network.classifier[0].in_features, network.classifier[-1].out_features) == (10, 5)
    assert network.eval()(torch.randn(2, 3, 8, 6)).shape == (2, 5)


def test_a_single_classifier_and_no_norms():
    network = ShapedVGG(LAYERS, 5, batch_norm=False, hidden=(), pool={"inner": None})
    assert network.classifier.in_features == 12 * 13 // 2
    assert not any("BatchNorm" in type(module).__name__ for module in network.features)


def test_an_unknown_option_of_the_pooling_is_refused():
    with pytest.raises(ValueError, match=r"pool has no argument 'step'; did you mean 'steps'"):
        ShapedVGG(LAYERS, pool={"step": 3})
