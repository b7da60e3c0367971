"""A recipe: everything that decides the outcome of a training, in one value."""

from dataclasses import dataclass, field
from typing import Literal

from wholeframe.models.build import Model


@dataclass(frozen=True)
class Data:
    """What is fed to the network. The folder itself is not part of a recipe."""

    size: int = 64
    """side of the square images, pixels"""
    batch: int = 32
    """images per step"""
    flip: bool = False
    """mirror half of the training images; not for digits, signs or letters"""
    test_fraction: float = 0.2
    """share of every class held out where the folder has no test/ or val/"""
    workers: int = 2
    """processes that decode images; 0 for none"""

    def __post_init__(self):
        if self.batch < 1:
            raise ValueError(f"batch={self.batch} is no number of images; 32 is usual")


@dataclass(frozen=True)
class Schedule:
    """AdamW under a one-cycle learning rate."""

    epochs: int = 20
    """passes over the training images"""
    lr: float = 4e-3
    """peak learning rate"""
    block_lr: float = 1.0
    """factor on the learning rate of inserted blocks; above 1 when the host is pretrained"""
    weight_decay: float = 0.05
    """of weights; norms and biases have none"""
    clip: float | None = None
    """largest norm of the gradient; None for no clipping"""

    def __post_init__(self):
        if self.epochs < 1:
            raise ValueError(f"epochs={self.epochs} trains nothing; give a number from 1")


@dataclass(frozen=True)
class Recipe:
    """Model, data, schedule and seed."""

    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    schedule: Schedule = field(default_factory=Schedule)
    seed: int = 0
    """of weights, of the order of images and of their augmentation"""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """bf16 and fp16 keep softmax, context and statistics in float32"""
