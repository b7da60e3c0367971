"""COCO 2017: 118,287 training images with the objects of 80 classes, their masks, and the keypoints of persons.

Data: `annotations/instances_train2017.json` (or `person_keypoints_train2017.json`) next to `train2017/`, the same for
val2017. Images without objects are left out of the training, as the references do. Images are scaled to a shorter side
of 800 pixels and a longer one of at most 1333, and flipped.
"""

from dataclasses import replace

from wholeframe.models.detector_config import DetectorConfig
from wholeframe.train.inputs.objects import Objects
from wholeframe.train.recipe import SGD, AdamW, OneCycle, Recipe, Schedule, Steps
from wholeframe.train.tasks.detection import Detection

STEPS = 117_266 // 16  # Of an epoch: the training images with objects, 16 a step.
DATA = Objects(batch=16, workers=8)


def maskrcnn_r50_gc() -> Recipe:
    """Mask R-CNN, ResNet-50 with GC blocks in every block of c3 to c5, 12 epochs (1x).

    The released configurations of Cao et al. (2019): 16 images a step, SGD without Nesterov at 0.02, a tenth of it
    after 8 and 11 epochs, 500 steps of warm-up from a third, gradients clipped at 35; batch norms that learn, with
    statistics of all devices. Their norms and biases decay as well; here they do not.

    Published, not ours: box AP 39.4, mask AP 35.7; without blocks 37.2, 33.8 (table 2).

    wholeframe train coco_maskrcnn_r50_gc --data COCO --out runs/gc --devices 8 --sync-bn
    (--backbone maskrcnn_r50, maskrcnn_r50_nl1, maskrcnn_r101_gc ...)
    """
    return Recipe(
        model=DetectorConfig(backbone="maskrcnn_r50_gc", weights="IMAGENET1K_V1", norm="batch"),
        data=DATA,
        schedule=Schedule(
            epochs=12,
            lr=0.02,
            weight_decay=1e-4,
            clip=35.0,
            optimizer=SGD(nesterov=False),
            rate=Steps(drops=(8, 11), warmup=500 / STEPS, start=1 / 3),
        ),
        task=Detection("masks"),
    )


def maskrcnn_r50_gc_2x() -> Recipe:
    """Mask R-CNN, ResNet-50 with GC blocks, 24 epochs (2x): the rate falls after 16 and 22.

    Published, not ours: box AP 39.7, mask AP 36.0; without blocks 37.7, 34.3 (README of Cao et al.).

    wholeframe train coco_maskrcnn_r50_gc_2x --data COCO --out runs/gc_2x --devices 8 --sync-bn
    """
    return _twice(maskrcnn_r50_gc())


def maskrcnn_r50_nl1() -> Recipe:
    """Mask R-CNN, ResNet-50 with one non-local block before the last block of res4, 90,000 steps (1x).

    Wang et al. (CVPR 2018), section 6, train Mask R-CNN end to end from ImageNet and give no schedule. Here it is that
    of Mask R-CNN's authors: 16 images a step at 0.02, a tenth of it after 60,000 and 80,000 steps, 500 steps of
    warm-up from a third; frozen batch norms.

    Published, not ours: box AP 39.0, mask AP 35.5; without the block 38.0, 34.6 (table 5).

    wholeframe train coco_maskrcnn_r50_nl1 --data COCO --out runs/nl --devices 8
    """
    recipe = maskrcnn_r50_gc()
    drops = (60_000 / STEPS, 80_000 / STEPS)
    rate = Steps(drops=drops, warmup=500 / STEPS, start=1 / 3)
    return replace(
        recipe,
        model=replace(recipe.model, backbone="maskrcnn_r50_nl1", norm="frozen"),
        schedule=replace(recipe.schedule, epochs=round(90_000 / STEPS), clip=None, rate=rate),
    )


def maskrcnn_r50_nl1_2x() -> Recipe:
    """Mask R-CNN, ResNet-50 with one non-local block, twice as long.

    No figures are published for it.

    wholeframe train coco_maskrcnn_r50_nl1_2x --data COCO --out runs/nl_2x --devices 8
    """
    return _twice(maskrcnn_r50_nl1())


def keypointrcnn_r101_nl5() -> Recipe:
    """Keypoint R-CNN, ResNet-101, with four non-local blocks in the head of eight convolutions and one in res4.

    Wang et al. (CVPR 2018), section 6; the schedule as in `maskrcnn_r50_nl1`, since they give none.

    Published, not ours: keypoint AP 66.5; without the one in res4 66.0, without any 65.1 (table 6).

    wholeframe train coco_keypointrcnn_r101_nl5 --data COCO --out runs/keypoints --devices 8
    """
    recipe = maskrcnn_r50_nl1()
    return replace(recipe, model=replace(recipe.model, backbone="keypointrcnn_r101_nl5"), task=Detection("keypoints"))


def maskrcnn_tiny_gc() -> Recipe:
    """Mask R-CNN of 1.2 M parameters with GC blocks, from scratch, for a laptop: images of 256 to 384 pixels.

    wholeframe train coco_maskrcnn_tiny_gc --data DIR --out runs/tiny        (--backbone maskrcnn_tiny_nl1 ...)
    """
    return Recipe(
        model=DetectorConfig(backbone="maskrcnn_tiny_gc"),
        data=Objects(batch=4, workers=2),
        schedule=Schedule(epochs=50, lr=2e-3, weight_decay=0.05, clip=10.0, optimizer=AdamW(), rate=OneCycle()),
        task=Detection("masks"),
    )


def keypointrcnn_tiny() -> Recipe:
    """Keypoint R-CNN of less than 1.5 M parameters, from scratch, for a laptop.

    wholeframe train coco_keypointrcnn_tiny --data DIR --out runs/tiny_keypoints
    """
    recipe = maskrcnn_tiny_gc()
    return replace(recipe, model=replace(recipe.model, backbone="keypointrcnn_tiny"), task=Detection("keypoints"))


def _twice(recipe: Recipe) -> Recipe:
    """Twice the epochs, and each drop after twice as many, as published: 16, 22 of 24 instead of 8, 11 of 12."""
    schedule = recipe.schedule
    assert isinstance(schedule.rate, Steps)
    rate = replace(schedule.rate, drops=tuple(2 * drop for drop in schedule.rate.drops))
    return replace(recipe, schedule=replace(schedule, epochs=2 * schedule.epochs, rate=rate))
