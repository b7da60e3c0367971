"""CUB-200-2011: images of 200 species of birds.

Data: `train/CLASS/*` and `test/CLASS/*` by the list `train_test_split.txt` of the data set.
"""

from dataclasses import replace

from wholeframe.models.build import ModelConfig
from wholeframe.train.inputs.images import Images
from wholeframe.train.recipe import SGD, Recipe, Schedule, Steps

WARMUP = 10  # Epochs added before the 100 of the schedule, so that its drops come this much later.


def r50_cgnl1() -> Recipe:
    """ResNet-50 with one CGNL block of 8 groups, fine-tuned from ImageNet at 448 pixels.

    Yue et al. (NeurIPS 2018), by their released code: SGD without Nesterov, 256 images a step, 100 epochs at 0.01,
    a tenth of it after 31, 61 and 81, after ten epochs of warm-up. Their norms have statistics per GPU, of eight.

    Published, not ours: top-1 85.14, top-5 96.88 % (paper, table 4b); 87.06, 96.91 % (their README, where a reader
    reports 86.4 from four runs). With --backbone r101_cgnl1 86.35, 97.86 (paper), 87.28, 97.20 (README).

    wholeframe train cub --data DIR --out runs/cub --devices 8
    """
    return Recipe(
        model=ModelConfig(backbone="r50_cgnl1", weights="DEFAULT", block=None),
        data=Images(size=448, shorter=512, area=0.08, flip=True, batch=256, workers=8),
        schedule=Schedule(
            epochs=100 + WARMUP,
            lr=0.01,
            weight_decay=1e-4,
            optimizer=SGD(nesterov=False),
            rate=Steps(drops=tuple(WARMUP + epoch for epoch in (31, 61, 81)), warmup=WARMUP),
        ),
    )


def r50_nl1() -> Recipe:
    """ResNet-50 with one non-local block, under the recipe of CGNL.

    Published, not ours: top-1 84.79, top-5 96.76 % (CGNL's paper, table 4b); 86.69, 96.95 % (their README).

    wholeframe train cub_nl --data DIR --out runs/cub_nl --devices 8
    """
    recipe = r50_cgnl1()
    return replace(recipe, model=replace(recipe.model, backbone="r50_nl1"))


def r50() -> Recipe:
    """ResNet-50 alone, under the recipe of CGNL, which warms up only with a block.

    Published, not ours: top-1 84.05, top-5 96.00 % (CGNL's paper, table 4b); 86.45, 97.00 % (their README).

    wholeframe train cub_r50 --data DIR --out runs/cub_r50 --devices 8
    """
    recipe = r50_cgnl1()
    schedule = replace(recipe.schedule, epochs=100, rate=Steps(drops=(31, 61, 81)))
    return replace(recipe, model=replace(recipe.model, backbone="r50"), schedule=schedule)
