"""The published schedules of COCO, in steps of 16 images."""

import pytest

from wholeframe.recipes import RECIPES, coco, detect
from wholeframe.train.optim import stepped


def rates(recipe):
    """The learning rate after some epochs."""
    schedule = recipe.schedule
    return [schedule.lr * stepped(epoch, schedule.rate) for epoch in (0, 1, 8.5, 11.5)]


def test_gcnet_once_and_twice():
    once, twice = coco.maskrcnn_r50_gc(), coco.maskrcnn_r50_gc_2x()
    assert rates(once) == pytest.approx([0.02 / 3, 0.02, 0.002, 0.0002])
    assert once.schedule.rate.warmup * coco.STEPS == pytest.approx(500) and once.schedule.clip == 35
    assert twice.schedule.epochs == 24 and twice.schedule.rate.drops == (16, 22)
    assert once.model.norm == "batch" and not once.schedule.optimizer.nesterov


def test_nonlocal_follows_the_steps_of_mask_rcnn():
    recipe = coco.maskrcnn_r50_nl1()
    assert [round(drop * coco.STEPS) for drop in recipe.schedule.rate.drops] == [60_000, 80_000]
    assert recipe.model.norm == "frozen" and recipe.schedule.clip is None and recipe.schedule.epochs == 12
    assert coco.keypointrcnn_r101_nl5().task.objects == recipe.task.objects.replace("masks", "keypoints")


@pytest.mark.parametrize("name", [name for name in RECIPES if name.startswith("coco") or name == "detect"])
def test_the_network_learns_what_the_task_scores(name):
    recipe = RECIPES[name]()
    assert recipe.model.learns == recipe.task.objects
    assert detect.fasterrcnn_r50_gc().schedule.block_lr > 1
