"""A recipe: everything that decides the outcome of a training, in one value; as JSON and back."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from wholeframe.data.video.crops import Colours, normalised
from wholeframe.data.video.sampling import Sampling
from wholeframe.models.build import ModelConfig


@dataclass(frozen=True)
class Images:
    """Photographs as they are fed to the network. The folder itself is not part of a recipe."""

    size: int = 64
    """side of the square images, pixels"""
    shorter: int | None = None
    """testing: the shorter side, out of whose middle the square is cut; None for no margin around it"""
    area: float = 0.6
    """training: smallest part of the area of an image that is cut out and resized to the square"""
    batch: int = 32
    """images per step, over all devices"""
    flip: bool = False
    """mirror half of the training images; not for digits, signs or letters"""
    test_fraction: float = 0.2
    """share of every class held out where the folder has no test/ or val/"""
    workers: int = 2
    """processes that decode images; 0 for none"""

    def __post_init__(self):
        _refuse_batch(self.batch)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return 3, self.size, self.size

    def as_input(self, images: Tensor) -> Tensor:
        """What a network takes of a batch: images are normalised when they are read."""
        return images


@dataclass(frozen=True)
class Clips:
    """Clips of videos as they are fed to the network. The folder, or the list, is not part of a recipe."""

    sampling: Sampling = field(default_factory=Sampling)
    """which frames"""
    size: int = 224
    """side of the square clips, pixels; the shorter side of a frame is 8/7 to 10/7 of it (256 to 320 for 224)"""
    colours: Colours = "nonlocal"
    """mean and standard deviation that are taken out: the released Caffe2 code's, or torchvision's"""
    window: float | None = None
    """seconds: cut the videos of a list into parts of this length, each with all labels of its time; inf for whole
    videos; None for a clip with one label per line of the list"""
    batch: int = 64
    """clips per step, over all devices"""
    flip: bool = True
    """mirror half of the training clips; not where left and right differ in meaning"""
    test_fraction: float = 0.2
    """share held out where neither folders nor the list say what to test on"""
    workers: int = 2
    """processes that decode videos; 0 for none"""

    def __post_init__(self):
        _refuse_batch(self.batch)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return 3, self.sampling.frames, self.size, self.size

    def as_input(self, clips: Tensor) -> Tensor:
        """What a network takes of a batch of 8-bit clips, made where they are: they are sent before."""
        return normalised(clips, self.colours)


@dataclass(frozen=True)
class AdamW:
    """Loshchilov and Hutter (ICLR 2019)."""

    betas: tuple[float, float] = (0.9, 0.999)
    """decay of the running mean of the gradient, and of its square"""


@dataclass(frozen=True)
class SGD:
    """Gradient descent with momentum."""

    momentum: float = 0.9
    """share of the last step in the next one"""
    nesterov: bool = True
    """take the gradient where momentum leads to"""

    def __post_init__(self):
        if self.nesterov and not self.momentum > 0:
            raise ValueError(f"nesterov looks where momentum leads to, and momentum={self.momentum} leads nowhere")


@dataclass(frozen=True)
class OneCycle:
    """Up to the rate and down to nearly nothing, both along a cosine (Smith and Topin 2017); momentum the other way."""

    rise: float = 0.3
    """share of the steps that go up"""

    def __post_init__(self):
        if not 0 < self.rise < 1:
            raise ValueError(f"rise={self.rise} is no share of the steps, between 0 and 1; 0.3 is usual")


@dataclass(frozen=True)
class Steps:
    """The rate, multiplied by `factor` at every drop."""

    drops: tuple[float, ...] = (30, 60, 90)
    """epochs after which the rate drops, counted from the start with warm-up; 40.9 is within the 41st"""
    factor: float = 0.1
    """of the rate after a drop to that before"""
    warmup: float = 0
    """epochs in which the rate rises linearly from a thousandth"""


@dataclass(frozen=True)
class Cosine:
    """From the rate down to zero along half a cosine (Loshchilov and Hutter, ICLR 2017)."""

    warmup: float = 0
    """epochs in which the rate rises linearly from a thousandth"""


@dataclass(frozen=True)
class Schedule:
    """How long, how fast, by which rule."""

    epochs: int = 20
    """passes over the training images"""
    lr: float = 4e-3
    """peak learning rate"""
    block_lr: float = 1.0
    """factor on the learning rate of inserted blocks; above 1 when the backbone is pretrained"""
    weight_decay: float = 0.05
    """of weights; norms and biases have none"""
    clip: float | None = None
    """largest norm of the gradient; None for no clipping"""
    optimizer: AdamW | SGD = field(default_factory=AdamW)
    """the rule of one step"""
    rate: OneCycle | Steps | Cosine = field(default_factory=OneCycle)
    """the learning rate over the epochs"""

    def __post_init__(self):
        if self.epochs < 1:
            raise ValueError(f"epochs={self.epochs} trains nothing; give a number from 1")
        drops = self.rate.drops if isinstance(self.rate, Steps) else ()
        if list(drops) != sorted(drops) or any(not 0 < drop < self.epochs for drop in drops):
            raise ValueError(
                f"drops={drops} do not lie one after the other within {self.epochs} epochs, and one behind the end "
                f"would never come; a third each is {tuple(round(self.epochs * k / 3, 1) for k in (1, 2))}"
            )
        if not isinstance(self.rate, OneCycle) and not 0 <= self.rate.warmup < self.epochs:
            raise ValueError(f"warmup={self.rate.warmup} epochs leave none of {self.epochs} at the full rate")


@dataclass(frozen=True)
class Recipe:
    """Model, data, schedule, what is asked, and the seed."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: Images | Clips = field(default_factory=Images)
    schedule: Schedule = field(default_factory=Schedule)
    labels: Literal["one", "many"] = "one"
    """one class per sample (softmax, accuracy), or any number of them (a sigmoid per class, mean average precision)"""
    seed: int = 0
    """of weights, of the order of images and of their augmentation"""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """bf16 and fp16 keep softmax, context and statistics in float32"""


def _refuse_batch(batch: int) -> None:
    if batch < 1:
        raise ValueError(f"batch={batch} is no number of samples; 32 is usual")


PARTS = (Recipe, ModelConfig, Images, Clips, Sampling, Schedule, AdamW, SGD, OneCycle, Steps, Cosine)
TYPES = {kind.__name__: kind for kind in PARTS}


def described(value: Any) -> Any:
    """What JSON can hold of a recipe."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: described(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    return value


def restored(value: Any) -> Any:
    """The recipe that was described. JSON has no tuples; a recipe has no lists."""
    if isinstance(value, list):
        return tuple(map(restored, value))
    if isinstance(value, dict):
        fields = {name: restored(part) for name, part in value.items()}
        return TYPES[fields.pop("type")](**fields) if fields.get("type") in TYPES else fields
    return value
