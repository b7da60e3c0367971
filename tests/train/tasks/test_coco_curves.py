"""Curves as a picture: one line each, from matplotlib."""

import numpy as np
import pytest
from PIL import Image

from wholeframe.train.tasks.coco_curves import Curve, draw_curves

RECALL = np.linspace(0, 1, 101)


def test_every_curve_changes_the_picture(tmp_path):
    pictures = []
    for names in (["cat"], ["cat", "dog"]):
        draw_curves(
            {name: Curve(RECALL, 1 - RECALL ** len(name + names[-1])) for name in names}, tmp_path / "a", "pets"
        )
        with Image.open(tmp_path / "a") as image:
            assert image.format == "PNG"
            pictures.append(np.asarray(image.convert("RGB"))[..., 0])
    assert pictures[0].std() > 5 and (pictures[0].shape != pictures[1].shape or (pictures[0] != pictures[1]).any())


def test_the_average_precision_is_the_mean():
    assert Curve(RECALL, 1 - RECALL).average_precision == pytest.approx(0.5)


def test_a_picture_without_curves_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there are no curves to draw"):
        draw_curves({}, tmp_path / "none.png")
