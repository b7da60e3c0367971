"""Predictions of a trained network for single images, videos, and parts of videos."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import torchvision
from torch import Tensor, nn

from wholeframe.data.images import read_image
from wholeframe.data.video.sampling import Sampling
from wholeframe.explain.features import classifier, features
from wholeframe.messages import listed, one_of
from wholeframe.models.build import BACKBONES, create_backbone, refuse_timm
from wholeframe.models.zoo import MODELS
from wholeframe.surgery.probe import evaluating
from wholeframe.train.initial_weights import load_initial_weights, state_of
from wholeframe.train.inputs import ClassSpec
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.inputs.images import Images
from wholeframe.train.inputs.objects import Objects
from wholeframe.train.network_file import open_network
from wholeframe.train.run import Run
from wholeframe.train.tasks import ClassTask
from wholeframe.train.tasks.classification import Classification
from wholeframe.train.tasks.detection import Detection

IMAGENET = 1000
"""the number of classes of ImageNet"""


class Prediction(NamedTuple):
    """Probabilities `(k,)` and the input of the classifier, `(d,)`; both are means over the views of a video."""

    probabilities: Tensor
    features: Tensor


@dataclass(frozen=True)
class Predictor:
    """A trained network, the names of its classes, and how a file becomes its input."""

    network: nn.Module
    classes: Sequence[str]
    read: Callable[[Path], Tensor]
    """from a file to one sample: `(3, h, w)`, or views `(v, 3, t, h, w)`"""
    task: ClassTask = field(default_factory=Classification)
    spec: ClassSpec = field(default_factory=Images)

    @property
    def of_clips(self) -> bool:
        """Whether the network takes clips of videos, and not images."""
        return isinstance(self.spec, Clips)

    def __call__(self, file: Path) -> Prediction:
        """Probabilities and features of a file. ValueError if it does not decode."""
        return self.of_sample(self.read(file))

    def of_sample(self, sample: Tensor) -> Prediction:
        """Probabilities and features of one sample, as `read` returns it."""
        with evaluating(self.network), torch.no_grad(), features(self.network) as seen:
            probabilities = self.task.predictions(self.spec.outputs(self.network, sample[None]))
        return Prediction(probabilities[0].cpu(), torch.cat(seen).mean(dim=0).cpu())


def of_run(run: Run, weights: Literal["last", "best"] = "last", views: str | None = None) -> Predictor:
    """The network of a run.

    Args:
        run: the run folder.
        weights: "last" or "best".
        views: such as "10x3", the default for videos; None for images.

    Raises:
        ValueError: there is no such checkpoint, or the views do not apply to images.
    """
    recipe = run.recipe()
    if isinstance(recipe.task, Detection) or isinstance(recipe.data, Objects):
        raise ValueError(f"'{run.folder}' is a run of a detector, whose answers are objects and not classes")
    read = recipe.data.reader(recipe.data.test_views(views))
    return Predictor(run.network(weights), run.classes(), read, recipe.task, recipe.data)


def of_file(file: Path, views: str | None = None, weights: str | None = None) -> Predictor:
    """The network of a file of `wf.save`.

    Args:
        file: with the network, its classes and its input.
        views: such as "10x3", the default for videos; None for images.
        weights: what `--weights` gives, which such a file has itself.

    Raises:
        ValueError: the file cannot be loaded, or the views do not apply to images.
    """
    opened = open_network(file, weights)
    if isinstance(opened.spec, Objects):
        raise ValueError(f"'{file}' has a detector, whose answers are objects and not classes")
    read = opened.spec.reader(opened.spec.test_views(views))
    return Predictor(opened.network, opened.classes, read, spec=opened.spec)


def of_model(name: str, weights: str = "DEFAULT", views: str | None = None) -> Predictor:
    """A network with weights of its library, or with weights from a file.

    The number of classes is the width of the classifier in the file. Classes have the names of ImageNet for a network
    for images with 1000 of them, those of the run for a run folder, and else `class 0`, `class 1`, ...

    Args:
        name: `torchvision/NAME` or `timm/NAME`; with a file also a network of `wholeframe models`.
        weights: a name of the library, or a file with a state dict, or a run folder.
        views: such as "10x3", the default for videos; None for images.

    Raises:
        ValueError: there are no such weights, or the file lacks some of them.
    """
    library, _, bare = name.rpartition("/")
    if library != "timm" and bare in torchvision.models.list_models() and bare not in _of_images():
        raise ValueError(
            f"{name!r} of torchvision does not classify images, and predict takes such networks, those of "
            "`wholeframe models` and runs; take torchvision/resnet50, or c2d_r50 for videos"
        )
    if Path(weights).exists():
        return _of_file(name, Path(weights), views)
    if name in BACKBONES or name in MODELS:
        raise ValueError(
            f"there are no published weights of {name!r} to download; train it and give the run, or give --weights "
            "FILE with its state dict, from whose classifier the number of classes is read"
        )
    Images().test_views(views)
    if library != "timm" and bare in torchvision.models.list_models():
        known = torchvision.models.get_model_weights(bare)
        one_of("weights", weights, list(known.__members__))
        chosen = known[weights]
        network = create_backbone(name, len(chosen.meta["categories"]), weights)
        return Predictor(network, chosen.meta["categories"], _image(chosen.transforms()))
    return _timm(bare, weights)


def _of_file(name: str, file: Path, views: str | None) -> Predictor:
    """A network with the weights of a file, and as many classes as they have."""
    spec = clips_of(name) if _takes_clips(name) else Images(size=224, shorter=256)
    read = spec.reader(spec.test_views(views))
    network = create_backbone(name, IMAGENET)
    count = _width(network, state_of(file)) or IMAGENET
    if count != IMAGENET:
        network = create_backbone(name, count)
    loaded = load_initial_weights(network, file)
    if loaded.fresh:
        raise ValueError(
            f"'{file}' has only a part of the weights of {name!r}; it lacks {listed(loaded.fresh, most=3)}"
        )
    if file.is_dir():
        classes = Run(file).classes()
    elif count == IMAGENET and isinstance(spec, Images):
        classes = torchvision.models.ResNet50_Weights.DEFAULT.meta["categories"]
    else:
        classes = [f"class {k}" for k in range(count)]
    return Predictor(network, classes, read, spec=spec)


def clips_of(name: str) -> Clips:
    """How a network of `wholeframe models` for videos takes a clip, which is not part of its weights.

    Frames x stride are those in its name (`i3d_r50_32x4`), and else cover 64 frames, as all others that are published:
    32x2, 8x8, 4x16. The colours are those of its source.
    """
    frames = MODELS[name].input[1]
    named = re.search(rf"(?:^|_){frames}x(\d+)(?:_|$)", name)
    stride = int(named[1]) if named else max(64 // frames, 1)
    return Clips(Sampling(frames, stride), colours="torchvision" if name.endswith("mmaction2") else "nonlocal")


def _takes_clips(name: str) -> bool:
    return name in MODELS and len(MODELS[name].input) == 4


def _width(network: nn.Module, state: dict[str, Tensor]) -> int | None:
    """The number of rows of the network's classifier in a state dict; None if the state dict has no such layer."""
    layer = classifier(network)
    name = next(name for name, module in network.named_modules() if module is layer)
    weight = state.get(f"{name}.weight")
    return None if weight is None else len(weight)


def _of_images() -> list[str]:
    """The networks of torchvision that classify images: neither those for videos nor detectors."""
    return torchvision.models.list_models(module=torchvision.models)


def _timm(name: str, weights: str) -> Predictor:
    refuse_timm(name)
    from timm.data.config import resolve_model_data_config  # timm is an optional extra.
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset
    from timm.data.transforms_factory import create_transform
    from timm.models import get_pretrained_cfg_value

    count = get_pretrained_cfg_value(name if weights == "DEFAULT" else f"{name}.{weights}", "num_classes")
    network = create_backbone(f"timm/{name}", count or 1000, weights)
    subset = infer_imagenet_subset(network)
    info = ImageNetInfo(subset) if subset else None
    classes = [info.index_to_description(k) if info else f"class {k}" for k in range(count or 1000)]
    transform: Any = create_transform(**resolve_model_data_config(network), is_training=False)
    return Predictor(network, classes, _image(transform))


def _image(transform: Callable) -> Callable[[Path], Tensor]:
    return lambda file: transform(read_image(file))
