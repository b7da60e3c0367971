"""ImageNet-1k: 1,000 classes, 1.28 million images.

Data: `train/CLASS/*` and `val/CLASS/*`. Trained on crops of 8 to 100 % of the area, evaluated on the centre of
224 pixels of images whose shorter side is 256.
"""

from dataclasses import replace

from wholeframe.models.build import ModelConfig
from wholeframe.train.inputs.images import Images
from wholeframe.train.recipe import SGD, Cosine, Recipe, Schedule, Steps

DATA = Images(size=224, shorter=256, area=0.08, flip=True, batch=256, workers=8)


def r50_gc() -> Recipe:
    """GC blocks in every block of c3 to c5 of a trained ResNet-50, and both fine-tuned.

    Cao et al. (2019), following the author in xvjiarui/GCNet issues 22 and 29: a plain network is trained first, here
    torchvision's; then blocks are inserted, and the whole network is trained for 40 epochs from 0.02 along a cosine.
    Unverified: the batch of 512.

    Published, not ours: top-1 77.70, top-5 93.66 %; their ResNet-50 in the same two phases 76.88, 93.16 (table 4).

    wholeframe train imagenet --data DIR --out runs/r50_gc --devices 8        (--backbone r50_se, r50_gc1, r50_snl1 ...)
    """
    return Recipe(
        model=ModelConfig(backbone="r50_gc", weights="DEFAULT", block=None),
        data=replace(DATA, batch=512),
        schedule=Schedule(epochs=40, lr=0.02, weight_decay=1e-4, optimizer=SGD(nesterov=False), rate=Cosine()),
    )


def r50_cgnl1() -> Recipe:
    """ResNet-50 with one CGNL block of 8 groups, fine-tuned from torchvision's ResNet-50.

    The released code of Yue et al. (NeurIPS 2018): 100 epochs at 0.01, a tenth of it after 31, 61 and 81, after
    ten epochs of warm-up.

    Published by its README, not ours: top-1 77.69, top-5 93.63 %; ResNet-50 alone 76.15, 92.87.

    wholeframe train imagenet_cgnl --data DIR --out runs/r50_cgnl1 --devices 8
    """
    return Recipe(
        model=ModelConfig(backbone="r50_cgnl1", weights="DEFAULT", block=None),
        data=DATA,
        schedule=Schedule(
            epochs=110,
            lr=0.01,
            weight_decay=1e-4,
            optimizer=SGD(nesterov=False),
            rate=Steps(drops=(41, 71, 91), warmup=10),
        ),
    )


def gsop1_r50() -> Recipe:
    """GSoP-Net1, ResNet-50, from scratch.

    The released script of Gao et al. (CVPR 2019): batch 384, 95 epochs at 0.1, a tenth of it after 30, 60 and
    90; no dropout, no warm-up.

    Published, not ours: error top-1 22.02, top-5 5.88 % (README); 22.32, 6.02 (arXiv preprint, table 5).

    wholeframe train imagenet_gsop1 --data DIR --out runs/gsop1_r50 --devices 4
    """
    return _from_scratch("gsop1_r50", batch=384, epochs=95, drops=(30, 60, 90))


def gsop2_r50() -> Recipe:
    """GSoP-Net2, ResNet-50, from scratch.

    The released script of Gao et al. (CVPR 2019): batch 384, 65 epochs at 0.1, a tenth of it after 30, 45 and 60.

    Published, not ours: error top-1 21.19, top-5 5.64 % (README, and arXiv preprint, table 5).

    wholeframe train imagenet_gsop2 --data DIR --out runs/gsop2_r50 --devices 4
    """
    return _from_scratch("gsop2_r50", batch=384, epochs=65, drops=(30, 45, 60))


def isqrt_r50() -> Recipe:
    """iSQRT-COV, ResNet-50, from scratch.

    fast-MPN-COV (Li et al., CVPR 2018): batch 160, 65 epochs at 0.1, a tenth of it after 30, 45 and 60.

    Published, not ours: error top-1 22.14, top-5 6.22 %; 21.71, 6.13 as reproduced in its README.

    wholeframe train imagenet_isqrt --data DIR --out runs/isqrt_r50 --devices 2
    """
    return _from_scratch("isqrt_r50", batch=160, epochs=65, drops=(30, 45, 60))


def _from_scratch(backbone: str, *, batch: int, epochs: int, drops: tuple[float, ...]) -> Recipe:
    return Recipe(
        model=ModelConfig(backbone=backbone, block=None),
        data=replace(DATA, batch=batch),
        schedule=Schedule(
            epochs=epochs, lr=0.1, weight_decay=1e-4, optimizer=SGD(nesterov=False), rate=Steps(drops=drops)
        ),
    )
