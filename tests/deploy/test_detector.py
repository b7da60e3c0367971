"""Objects of two answers are compared whatever their order; other objects are found."""

import math

import pytest
import torch

from wholeframe.deploy.detector import apart, compare

BOXES = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 5.0, 30.0, 30.0], [20.0, 5.0, 30.0, 30.0]])
ANSWER = {"boxes": BOXES, "labels": torch.tensor([1, 1, 2]), "scores": torch.tensor([0.9, 0.5, 0.5])}


def changed(name, place, value):
    tensor = ANSWER[name].clone()
    tensor[place] = value
    return {**ANSWER, name: tensor}


def test_the_order_does_not_matter():
    order = torch.tensor([0, 2, 1])
    assert apart({name: tensor[order] for name, tensor in ANSWER.items()}, ANSWER) == 0


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (changed("boxes", (0, 0), 0.3), 0.01),
        (changed("scores", 1, 0.41), 0.1),
        (changed("labels", 1, 3), math.inf),
        ({name: tensor[:2] for name, tensor in ANSWER.items()}, math.inf),
        (changed("boxes", 0, BOXES[1]), math.inf),
    ],
)
def test_a_difference_is_found(other, error):
    assert apart(other, ANSWER) == pytest.approx(error)


def test_a_detector_that_finds_others_is_refused():
    wrong = changed("scores", 0, 0.8)
    with pytest.raises(ValueError, match=r"finds 3 objects and the network 3 at 3 x 8 x 8.*no file is left"):
        compare(lambda _: [ANSWER], lambda _: list(wrong.values()), [torch.zeros(3, 8, 8)], 1e-4)
    (done,) = compare(lambda _: [ANSWER], lambda _: list(ANSWER.values()), [torch.zeros(3, 8, 8)], 1e-4)
    assert done.found == 3 and str(done) == "3 x 8 x 8: 0.0e+00, 3 objects"
