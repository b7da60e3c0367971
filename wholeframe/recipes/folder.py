"""Your own images, one folder per class."""

from dataclasses import replace

from wholeframe.models.build import ModelConfig
from wholeframe.train.inputs.images import Images
from wholeframe.train.recipe import Recipe, Schedule

SMALL_DATA = Images(size=64, batch=32, flip=False)


def small(seed: int = 0, epochs: int = 12) -> Recipe:
    """The bare network of `wholeframe compare --data DIR`, from scratch."""
    return Recipe(
        model=ModelConfig(backbone="small", block=None, at=("stage3",)),
        data=SMALL_DATA,
        schedule=Schedule(epochs=epochs, lr=4e-3, weight_decay=0.05, clip=1.0),
        seed=seed,
    )


def small_nl() -> Recipe:
    """A small network with one non-local block, from scratch."""
    bare = small(epochs=20)
    return replace(bare, model=replace(bare.model, block="nl"))


def r18_gc() -> Recipe:
    """A pretrained ResNet-18 with GC blocks before the residual sum of c3, c4 and c5, fine-tuned.

    The sites of Cao et al. (2019), who do not treat basic blocks; their advice for those is the same site. torchvision
    downloads the weights. The new blocks start as identities and learn at ten times the rate.
    """
    return Recipe(
        model=ModelConfig(backbone="torchvision/resnet18", weights="DEFAULT", block="gc", at=("layer[2-4].*.bn2",)),
        data=Images(size=224, batch=32, flip=True),
        schedule=Schedule(epochs=10, lr=1e-4, block_lr=10.0, weight_decay=0.05, clip=1.0),
    )


def r50_nl() -> Recipe:
    """A pretrained ResNet-50 with one non-local block before the last block of res4, fine-tuned.

    The site of Wang et al. (CVPR 2018), table 2a. torchvision downloads the weights.
    """
    return Recipe(
        model=ModelConfig(backbone="torchvision/resnet50", weights="DEFAULT", block="nl", at=("layer3.4",)),
        data=Images(size=224, batch=32, flip=True),
        schedule=Schedule(epochs=10, lr=1e-4, block_lr=10.0, weight_decay=0.05, clip=1.0),
    )
