"""Ask a trained network about single photographs or videos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchvision
from torch import Tensor, nn

from wholeframe.data.images import read_image, transforms
from wholeframe.data.video.views import ONCE, Views
from wholeframe.explain.features import features
from wholeframe.messages import one_of
from wholeframe.models.build import BACKBONES, create_backbone, refuse_timm
from wholeframe.models.zoo import MODELS
from wholeframe.train.evaluate import AsInput, probabilities_of
from wholeframe.train.initial_weights import start
from wholeframe.train.inputs import videos_module
from wholeframe.train.recipe import Clips
from wholeframe.train.run import Run
from wholeframe.train.tasks.objective import OBJECTIVES


class Answer(NamedTuple):
    """Probabilities `(k,)` and what went into the classifier, `(d,)`; of a video the means over its views."""

    probabilities: Tensor
    features: Tensor


@dataclass(frozen=True)
class Predictor:
    """A trained network, with the names of its classes and the way from a file to its input."""

    network: nn.Module
    classes: Sequence[str]
    read: Callable[[Path], Tensor]
    """a file as `(3, h, w)`, or as views `(v, 3, t, h, w)`"""
    labels: str = "one"
    size: int = 224
    as_input: AsInput = lambda sample: sample

    def __call__(self, file: Path) -> Answer:
        """ValueError for a file that does not decode."""
        with features(self.network) as seen:
            sample = self.read(file)[None]
            probabilities = probabilities_of(self.network, sample, OBJECTIVES[self.labels], self.size, self.as_input)
        return Answer(probabilities[0].cpu(), torch.cat(seen).mean(dim=0).cpu())


def of_run(run: Run, weights: str = "last", views: Views | None = None) -> Predictor:
    """The network of a run. Videos are looked at in 10x3 views if not told otherwise; photographs once."""
    recipe, classes = run.recipe(), run.classes()
    data, network = recipe.data, run.network(weights)
    if isinstance(data, Clips):
        read = videos_module().reader(data, views)
        return Predictor(network, classes, read, recipe.labels, data.size, data.as_input)
    _once(views)
    return Predictor(network, classes, _photograph(transforms(data.size, train=False, shorter=data.shorter)))


def of_model(name: str, weights: str = "DEFAULT", views: Views | None = None) -> Predictor:
    """A network for photographs with weights: of torchvision or timm by their name, of any library as a file.

    A file holds weights of the network for the classes of ImageNet. ValueError where there are no weights.
    """
    _once(views)
    library, _, bare = name.rpartition("/")
    if Path(weights).exists():
        network = create_backbone(name, 1000)
        loaded = start(network, Path(weights))
        if loaded.fresh:
            raise ValueError(f"'{weights}' is not all of {name!r}: it lacks {', '.join(loaded.fresh[:3])}")
        return Predictor(network, _imagenet(), _photograph(transforms(224, train=False, shorter=256)))
    if name in BACKBONES or name in MODELS:
        raise ValueError(
            f"no weights of {name!r} can be fetched; train it and give the run, or --weights FILE with its state dict "
            "for the 1000 classes of ImageNet"
        )
    if library != "timm" and bare in torchvision.models.list_models():
        known = torchvision.models.get_model_weights(bare)
        one_of("weights", weights, list(known.__members__))
        chosen = known[weights]
        network = create_backbone(name, len(chosen.meta["categories"]), weights)
        return Predictor(network, chosen.meta["categories"], _photograph(chosen.transforms()))
    return _timm(bare, weights)


def _timm(name: str, weights: str) -> Predictor:
    refuse_timm(name)
    from timm.data.config import resolve_model_data_config  # an extra
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset
    from timm.data.transforms_factory import create_transform
    from timm.models import get_pretrained_cfg_value

    count = get_pretrained_cfg_value(name if weights == "DEFAULT" else f"{name}.{weights}", "num_classes")
    network = create_backbone(f"timm/{name}", count or 1000, weights)
    subset = infer_imagenet_subset(network)
    info = ImageNetInfo(subset) if subset else None
    classes = [info.index_to_description(k) if info else f"class {k}" for k in range(count or 1000)]
    transform: Any = create_transform(**resolve_model_data_config(network), is_training=False)
    return Predictor(network, classes, _photograph(transform))


def _photograph(transform: Callable) -> Callable[[Path], Tensor]:
    return lambda file: transform(read_image(file))


def _once(views: Views | None) -> None:
    if views not in (None, ONCE):
        raise ValueError(f"--views {views} is for videos; a photograph is looked at once")


def _imagenet() -> Sequence[str]:
    return torchvision.models.ResNet50_Weights.DEFAULT.meta["categories"]
