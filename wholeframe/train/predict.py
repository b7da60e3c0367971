"""Predictions of a trained network for single images or videos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import torchvision
from torch import Tensor, nn

from wholeframe.data.images import read_image, transforms
from wholeframe.explain.features import features
from wholeframe.messages import listed, one_of
from wholeframe.models.build import BACKBONES, create_backbone, refuse_timm
from wholeframe.models.zoo import MODELS
from wholeframe.surgery.probe import evaluating
from wholeframe.train.initial_weights import load_initial_weights
from wholeframe.train.inputs import DataSpec
from wholeframe.train.inputs.images import Images
from wholeframe.train.run import Run
from wholeframe.train.tasks import Task
from wholeframe.train.tasks.classification import Classification


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
    task: Task = field(default_factory=Classification)
    spec: DataSpec = field(default_factory=Images)

    def __call__(self, file: Path) -> Prediction:
        """Probabilities and features of a file. ValueError if it does not decode."""
        sample = self.read(file)[None]
        with evaluating(self.network), torch.no_grad(), features(self.network) as seen:
            probabilities = self.task.predictions(self.spec.outputs(self.network, sample))
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
    read = recipe.data.reader(recipe.data.test_views(views))
    return Predictor(run.network(weights), run.classes(), read, recipe.task, recipe.data)


def of_model(name: str, weights: str = "DEFAULT", views: str | None = None) -> Predictor:
    """A network for images with weights of its library, or with weights from a file.

    Args:
        name: `torchvision/NAME` or `timm/NAME`; with a file also any other network for images.
        weights: a name of the library, or a file with a state dict for the 1000 classes of ImageNet.
        views: None; only videos have views.

    Raises:
        ValueError: there are no such weights, or the file lacks some of them.
    """
    Images().test_views(views)
    library, _, bare = name.rpartition("/")
    if Path(weights).exists():
        network = create_backbone(name, 1000)
        loaded = load_initial_weights(network, Path(weights))
        if loaded.fresh:
            raise ValueError(
                f"'{weights}' has only a part of the weights of {name!r}; it lacks {listed(loaded.fresh, most=3)}"
            )
        return Predictor(network, _imagenet(), _image(transforms(224, train=False, shorter=256)))
    if name in BACKBONES or name in MODELS:
        raise ValueError(
            f"there are no published weights of {name!r} to download; train it and give the run, or give --weights "
            "FILE with its state dict for the 1000 classes of ImageNet"
        )
    if library != "timm" and bare in torchvision.models.list_models():
        known = torchvision.models.get_model_weights(bare)
        one_of("weights", weights, list(known.__members__))
        chosen = known[weights]
        network = create_backbone(name, len(chosen.meta["categories"]), weights)
        return Predictor(network, chosen.meta["categories"], _image(chosen.transforms()))
    return _timm(bare, weights)


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


def _imagenet() -> Sequence[str]:
    return torchvision.models.ResNet50_Weights.DEFAULT.meta["categories"]
