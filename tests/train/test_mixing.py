"""Mixup and CutMix: images and labels in the same proportion, drawn from torch's generator."""

import pytest
import torch

from wholeframe.train.mixing import Mix, whole
from wholeframe.train.recipe import Mixing

LABELS = torch.tensor([0, 1, 2, 1])
SHAPES = {"images": (4, 3, 8, 8), "clips": (4, 3, 2, 8, 8)}


def constant(shape):
    """Samples whose every value is the index of the sample."""
    return torch.arange(4.0).view(-1, *[1] * (len(shape) - 1)).expand(shape).clone()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("mixing", [Mixing(mixup=1.0), Mixing(cutmix=1.0), Mixing(mixup=1.0, cutmix=1.0)], ids=str)
def test_samples_and_labels_have_the_same_weights(shape, mixing):
    torch.manual_seed(1)
    given = constant(shape)
    samples, labels = Mix(mixing, 3)(given, LABELS)
    assert samples.shape == shape and type(samples) is torch.Tensor and torch.equal(given, constant(shape))
    assert labels.shape == (4, 3) and torch.allclose(labels.sum(1), torch.ones(4))
    weight = labels[1, 1]  # sample 1 is mixed with sample 0, of class 0
    assert 0 < weight < 1 and samples[1].mean() == pytest.approx(float(weight), abs=1e-5)


def test_several_labels():
    torch.manual_seed(1)
    given = torch.tensor([[1.0, 1, 0], [0, 0, 0], [0, 1, 1], [1, 1, 1]])
    _, labels = Mix(Mixing(mixup=1.0), 3)(constant(SHAPES["images"]), given)
    assert labels[1, 0] == labels[1, 1] and 0 < labels[1, 0] < 1 and labels[1, 2] == 0


def test_without_mixing_nothing_changes_and_nothing_is_drawn():
    given, state = constant(SHAPES["images"]), torch.get_rng_state()
    samples, labels = Mix(Mixing(), 3)(given, LABELS)
    assert samples is given and labels is LABELS and torch.equal(torch.get_rng_state(), state)
    assert whole(LABELS, labels) is LABELS


def test_the_same_seed_mixes_the_same():
    def mixed():
        torch.manual_seed(3)
        return Mix(Mixing(mixup=0.2, cutmix=1.0), 3)(torch.randn(SHAPES["images"]), LABELS)

    assert all(torch.equal(a, b) for a, b in zip(mixed(), mixed(), strict=True))


def test_a_score_counts_the_larger_part():
    mixed = torch.tensor([[0.7, 0.3], [0.4, 0.6]])
    assert whole(torch.tensor([0, 0]), mixed).tolist() == [0, 1]
    assert whole(torch.tensor([[1.0, 0], [0, 1]]), mixed).tolist() == [[1, 0], [0, 1]]


def test_labels_of_positions_are_refused():
    with pytest.raises(ValueError, match="these are labels of positions; give --mixup 0 --cutmix 0"):
        Mix(Mixing(mixup=1.0), 3)(torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4).long())


@pytest.mark.parametrize("field", ["mixup", "cutmix"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_parameters_that_cannot_be(field, value):
    with pytest.raises(ValueError, match=f"{field} must be at least 0"):
        Mixing(**{field: value})
