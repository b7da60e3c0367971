"""The recipes and the data of a comparison, the same for every arm of a task under one seed."""

import dataclasses
import pickle

import pytest
import torch

from wholeframe.recipes.compared import EMBEDDED, Compared, arm_of, options_of
from wholeframe.train.arms import Arm, Training
from wholeframe.train.inputs.clips import Clips

SMALL = Compared(steps=1)


@pytest.mark.parametrize("task", EMBEDDED)
def test_a_recipe_for_every_embedded_task(task):
    host = SMALL.host(task)
    arm = arm_of(host, task, "gc", host.at, "gc")
    recipe = SMALL.recipe(Training(arm, 3))
    assert recipe.seed == 3 and recipe.model.block == "gc" and host.block is None
    assert SMALL.train_steps(Training(arm, 3)) == 1 and SMALL.described()["steps"][task] == 1


def test_blocks_of_a_detector_start_at_random():
    shapes, gist = SMALL.host("shapes"), SMALL.host("gist")
    assert options_of(shapes, "nl") == {"init": "random"} and options_of(gist, "nl") == {}
    assert Compared().steps_on("shapes") > Compared().steps_on("gist")
    assert options_of(shapes, "gc") == {"ratio": 0.25, "init": "random"} and options_of(gist, "cbam") == {"ratio": 0.25}


def test_a_folder_may_have_the_name_of_a_task(tmp_path):
    host = Compared(folder=tmp_path / "shapes").host("shapes")
    assert host.backbone == "small" and arm_of(host, "shapes", "nl", host.at, "nl").model.options == {}


def test_arms_of_one_seed_share_their_samples():
    bare = Arm("gist", "none", SMALL.host("gist"))
    block = arm_of(bare.model, "gist", "nl", bare.model.at, "nl")
    first = SMALL.splits(Training(bare, 0))
    assert SMALL.splits(Training(block, 0)) is first, "they are made once"
    assert not torch.equal(SMALL.splits(Training(block, 1)).train[0][0], first.train[0][0])


def test_images_are_clips_of_one_frame_for_the_residual_network():
    bare = SMALL.host("recall_clips")
    assert isinstance(SMALL.recipe(Training(Arm("recall_clips", "c2d", bare), 0)).data, Clips)
    on_images = SMALL.recipe(Training(Arm("gist", "c2d", bare), 0))
    assert on_images.model.backbone == "small_c2d" and on_images.data.example().ndim == 4


def test_another_process_can_receive_it():
    training = Training(Arm("gist", "none", SMALL.host("gist")), 0)
    assert pickle.loads(pickle.dumps((SMALL, training))) == (SMALL, training)


def test_a_folder_is_identified_by_its_files(tmp_path, make_photos):
    photos = make_photos(tmp_path / "photos", count=20)
    compared = Compared(folder=photos, epochs=2)
    before = compared.described()
    arm = Arm("photos", "none", compared.host("photos"))
    assert before["images"] == 40 and compared.train_steps(Training(arm, 0)) == 2 * (32 // 32)
    next(photos.rglob("*.png"), next(photos.rglob("*.jpg"), None)).unlink()
    again = dataclasses.replace(compared, strict=True)  # Another value, because folders are opened once.
    assert again.described() != before


def test_a_part_of_the_training(tmp_path):
    """A rung of a search: fewer steps or passes over the images, and the whole schedule."""
    training = Training(Arm("gist", "none", SMALL.host("gist")), 0)
    assert Compared(part=1 / 3).train_steps(training) == 100 and Compared(part=1 / 3).whole("gist") == 300
    assert Compared(part=0.5).steps_on("shapes") == 300
    photos = Compared(folder=tmp_path, epochs=8, part=0.3)
    assert photos.recipe(training).schedule.epochs == 2 and photos.whole("photos") == 8
    with pytest.raises(ValueError, match=r"part=0\.1 of 8 is less than one; give a larger part"):
        dataclasses.replace(photos, part=0.1).recipe(training)
