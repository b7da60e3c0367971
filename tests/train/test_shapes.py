"""The two figures of the embedded detection task."""

import pytest
import torch
from torch import nn

from wholeframe.data.shapes import PAIRS, Shapes
from wholeframe.recipes.shapes import DATA
from wholeframe.train.shapes import partner_and_own, shapes_splits


class Told(nn.Module):
    """Returns the true boxes, with the labels that `name` makes of the true ones."""

    def __init__(self, shapes, name):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.targets = iter([target for _, target in (shapes[i] for i in range(len(shapes)))])
        self.name = name

    def forward(self, images):
        target = next(self.targets)
        labels, scores = self.name(target["labels"])
        boxes = target["boxes"].repeat(len(labels) // len(target["boxes"]), 1)
        return [{"boxes": boxes, "labels": labels, "scores": scores}]


def test_the_truth_has_both_figures_one():
    shapes = Shapes(4, 0)
    truth = Told(shapes, lambda labels: (labels, torch.ones(len(labels))))
    assert partner_and_own(truth, shapes) == (pytest.approx(1), pytest.approx(1))
    assert truth.training


def test_both_names_for_every_disc_have_half_the_partner_figure():
    """What a detector without a look at the partner can do: the own forms are right, a disc has either name."""
    shapes, generator = Shapes(60, 0), torch.Generator().manual_seed(0)

    def either(labels):
        discs = labels > 2
        guess = torch.rand(len(labels), generator=generator)
        scores = torch.cat([torch.where(discs, guess, 1.0), torch.where(discs, 1 - guess, 0.0)])
        return torch.cat([labels, torch.where(discs, 7 - labels, labels)]), scores

    partner, own = partner_and_own(Told(shapes, either), shapes)
    assert partner == pytest.approx(0.5, abs=0.1) and own > 0.9


def test_splits():
    splits = shapes_splits(DATA, 3, steps=2, test=5)
    assert len(splits.train) == 2 * DATA.batch and len(splits.val) == 5 == len(splits.val.annotations.pictures)
    assert len(splits.train_dataloader()) == 2
    images, targets = next(iter(splits.val_dataloader()))
    assert len(images) == 5 and len(targets[0]["boxes"]) == 2 * PAIRS
    assert not torch.equal(splits.train[0][0], splits.val[0][0])
    picture = splits.picture(images[0])
    assert (torch.from_numpy(picture).permute(2, 0, 1) == (255 * images[0]).round().byte()).all()
