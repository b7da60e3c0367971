"""A recipe: everything that decides the outcome of a training, in one value; as JSON and back."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from wholeframe.data.video.sampling import Sampling
from wholeframe.models.build import ModelConfig
from wholeframe.models.detector_config import DetectorConfig
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.inputs.images import Images
from wholeframe.train.inputs.objects import Objects
from wholeframe.train.limits import at_least, between, fraction, positive
from wholeframe.train.tasks.classification import Classification
from wholeframe.train.tasks.detection import Detection


@dataclass(frozen=True)
class AdamW:
    """Loshchilov and Hutter (ICLR 2019)."""

    betas: tuple[float, float] = (0.9, 0.999)
    """decay of the running mean of the gradient, and of its square"""

    def __post_init__(self):
        for beta in self.betas:
            if not 0 <= beta < 1:
                raise ValueError(f"betas must be at least 0 and below 1, got {self.betas} (0.9 and 0.999 are usual)")


@dataclass(frozen=True)
class SGD:
    """Gradient descent with momentum."""

    momentum: float = 0.9
    """fraction of the last step that is added to the next one"""
    nesterov: bool = True
    """take the gradient at the point that momentum leads to"""

    def __post_init__(self):
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be at least 0 and below 1, got {self.momentum} (0.9 is usual)")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0, got momentum=0; give --no-nesterov or --momentum 0.9")


@dataclass(frozen=True)
class OneCycle:
    """Up to the peak rate and down to nearly zero, both along a cosine (Smith and Topin 2017); momentum inversely."""

    rise: float = 0.3
    """fraction of the steps in which the rate rises"""

    def __post_init__(self):
        between("rise", self.rise, 0, 1, 0.3)


@dataclass(frozen=True)
class Steps:
    """The peak rate, multiplied by `factor` at every drop."""

    drops: tuple[float, ...] = (30, 60, 90)
    """epochs after which the rate drops, counted from the start and including warm-up; 40.9 is within the 41st"""
    factor: float = 0.1
    """ratio of the rate after a drop to the rate before it"""
    warmup: float = 0
    """epochs in which the rate rises linearly to the peak"""
    start: float = 1e-3
    """fraction of the peak rate at which the warm-up begins"""

    def __post_init__(self):
        positive("factor", self.factor, 0.1)
        at_least("warmup", self.warmup, 0, 5)
        fraction("start", self.start, 1e-3)


@dataclass(frozen=True)
class Cosine:
    """From the peak rate to zero along half a cosine (Loshchilov and Hutter, ICLR 2017)."""

    warmup: float = 0
    """epochs in which the rate rises linearly from a thousandth of the peak"""

    def __post_init__(self):
        at_least("warmup", self.warmup, 0, 5)


@dataclass(frozen=True)
class Schedule:
    """Number of epochs, learning rate, optimiser."""

    epochs: int = 20
    """passes over the training samples"""
    lr: float = 4e-3
    """peak learning rate"""
    block_lr: float = 1.0
    """factor on the learning rate of inserted blocks; above 1 where the backbone is pretrained"""
    weight_decay: float = 0.05
    """weight decay of weights; norms and biases have none"""
    clip: float | None = None
    """largest norm of the gradient; None for no clipping"""
    optimizer: AdamW | SGD = field(default_factory=AdamW)
    """the optimiser"""
    rate: OneCycle | Steps | Cosine = field(default_factory=OneCycle)
    """the learning rate over the epochs"""
    layer_lr: float = 1.0
    """factor on the learning rate from each part of the backbone to the part before it; 1 for the same rate everywhere,
    0.75 is usual for fine-tuning; inserted blocks follow block_lr alone"""
    ema: float | None = None
    """decay of a moving average of the weights, which is evaluated and saved in their place; 0.999 is usual; None for
    the weights themselves"""

    def __post_init__(self):
        at_least("epochs", self.epochs, 1, 20)
        positive("lr", self.lr, 4e-3)
        positive("block_lr", self.block_lr, 1)
        at_least("weight_decay", self.weight_decay, 0, 0.05)
        fraction("layer_lr", self.layer_lr, 0.75)
        if self.clip is not None:
            positive("clip", self.clip, 1)
        if self.ema is not None:
            between("ema", self.ema, 0, 1, 0.999)
        drops = self.rate.drops if isinstance(self.rate, Steps) else ()
        if list(drops) != sorted(drops) or any(not 0 < drop < self.epochs for drop in drops):
            raise ValueError(
                f"drops must increase and lie within the {self.epochs} epochs, got {drops}; after each third: "
                f"{tuple(round(self.epochs * k / 3, 1) for k in (1, 2))}"
            )
        if not isinstance(self.rate, OneCycle) and self.rate.warmup >= self.epochs:
            raise ValueError(
                f"warmup must be shorter than the {self.epochs} epochs, got {self.rate.warmup}; 0 turns it off"
            )


@dataclass(frozen=True)
class Mixing:
    """Each training sample with a part of another one, and its labels in the same proportion.

    With both, each batch takes one of them with equal chance.

    Source: mixup, Zhang et al. (ICLR 2018); CutMix, Yun et al. (ICCV 2019).
    """

    mixup: float = 0.0
    """both parameters of the Beta distribution of the weight of a whole sample; 0 for none, 0.2 is usual"""
    cutmix: float = 0.0
    """both parameters of the Beta distribution of the area that a rectangle leaves; 0 for none, 1 is usual"""

    def __post_init__(self):
        at_least("mixup", self.mixup, 0, 0.2)
        at_least("cutmix", self.cutmix, 0, 1)


@dataclass(frozen=True)
class Recipe:
    """Model, data, schedule, task, seed, precision and mixing."""

    model: ModelConfig | DetectorConfig = field(default_factory=ModelConfig)
    data: Images | Clips | Objects = field(default_factory=Images)
    schedule: Schedule = field(default_factory=Schedule)
    task: Classification | Detection = field(default_factory=Classification)
    seed: int = 0
    """seed of the weights, of the order of samples and of their augmentation"""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """bf16 and fp16 keep softmax, context and statistics in float32"""
    mixing: Mixing = field(default_factory=Mixing)
    """samples that are mixed in training"""

    def __post_init__(self):
        if not isinstance(self.task, Detection):
            return
        if self.mixing != Mixing():
            raise ValueError(
                "mixup and cutmix mix the labels of whole images, and here every object has its own; give --mixup 0 "
                "--cutmix 0"
            )
        if isinstance(self.model, DetectorConfig) and self.model.learns != self.task.objects:
            raise ValueError(
                f"{self.model.backbone!r} learns {self.model.learns}, and the recipe is for {self.task.objects}; give "
                f"--objects {self.model.learns}, or another --backbone"
            )


PARTS = (
    Recipe,
    ModelConfig,
    Images,
    Clips,
    Sampling,
    Objects,
    DetectorConfig,
    Classification,
    Detection,
    Schedule,
    Mixing,
    AdamW,
    SGD,
    OneCycle,
    Steps,
    Cosine,
)
TYPES = {kind.__name__: kind for kind in PARTS}


def described(value: Any) -> Any:
    """A recipe, or a part of one, as JSON can hold it: each value with its type and its fields."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: described(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    return value


def restored(value: Any) -> Any:
    """The inverse of `described`. JSON has no tuples and a recipe has no lists, so that lists become tuples."""
    if isinstance(value, list):
        return tuple(map(restored, value))
    if isinstance(value, dict):
        fields = {name: restored(part) for name, part in value.items()}
        return TYPES[fields.pop("type")](**fields) if fields.get("type") in TYPES else fields
    return value
