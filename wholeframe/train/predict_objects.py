"""The objects that a trained detector finds in single photographs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torchvision
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2.functional import pil_to_tensor

from wholeframe.explain.found import Found, find
from wholeframe.messages import listed, one_of
from wholeframe.models.build import reachable
from wholeframe.models.inflate import inflate
from wholeframe.models.zoo.detection import DETECTION_MODELS
from wholeframe.train.initial_weights import state_of
from wholeframe.train.network_file import holds_network, of_detector, open_network
from wholeframe.train.run import Run
from wholeframe.train.tasks.detection import Detection

NETWORKS = torchvision.models.detection
COCO: Sequence[str] = NETWORKS.MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"][1:]
"""the 90 names of COCO, with "N/A" for the ten without a class"""
CLASSES = tuple(name for name in COCO if name != "N/A")
"""the 80 classes of COCO"""
JOINTS: Sequence[str] = NETWORKS.KeypointRCNN_ResNet50_FPN_Weights.COCO_V1.meta["keypoint_names"]
"""the 17 keypoints of a person in COCO"""


@dataclass(frozen=True)
class ObjectPredictor:
    """A trained detector and the names of its classes: label k is `classes[k - 1]`."""

    network: nn.Module
    classes: Sequence[str]

    def __call__(self, photo: Image.Image) -> Found:
        """The objects in a photograph. ValueError for one that is too thin for the detector."""
        return find(self.network, as_input(photo))

    @property
    def keypoints(self) -> Sequence[str]:
        """The names of the keypoints: of 17 those of a person in COCO, else numbers; none without a keypoint head."""
        head: Any = getattr(getattr(self.network, "roi_heads", None), "keypoint_predictor", None)
        count = 0 if head is None else head.out_channels
        return JOINTS if count == len(JOINTS) else [f"keypoint {k}" for k in range(1, count + 1)]

    @property
    def floor(self) -> float:
        """The score below which the detector itself leaves an object out."""
        return float(self._own("score_thresh"))

    @property
    def most(self) -> int:
        """The largest number of objects that the detector gives for one photograph."""
        return int(self._own("detections_per_img"))

    def _own(self, name: str) -> Any:
        """A setting of the detector, which torchvision keeps on the heads of those with two stages."""
        return getattr(getattr(self.network, "roi_heads", self.network), name)


def as_input(photo: Image.Image) -> Tensor:
    """A photograph as detectors take it, `(3, h, w)` float32 from 0 to 1."""
    return pil_to_tensor(photo).float() / 255


def is_detector(name: str) -> bool:
    """Whether this is a run folder or file of a detector, or the name of one of `wholeframe models` or torchvision."""
    if Path(name).is_dir():
        return isinstance(Run(Path(name)).recipe().task, Detection)
    if holds_network(name):
        return of_detector(name)
    library, _, bare = name.rpartition("/")
    return name in DETECTION_MODELS or (library in ("", "torchvision") and bare in _of_torchvision())


def objects_of_run(run: Run, weights: Literal["last", "best"] = "last") -> ObjectPredictor:
    """The detector of a run. ValueError if there is no such checkpoint."""
    return ObjectPredictor(run.network(weights), run.classes())


def objects_of_file(file: Path, weights: str | None = None) -> ObjectPredictor:
    """The detector of a file of `wf.save`. ValueError for another file, and for weights, which it has itself."""
    opened = open_network(file, weights)
    return ObjectPredictor(opened.network, opened.classes)


def objects_of_model(name: str, weights: str = "DEFAULT") -> ObjectPredictor:
    """A detector with weights of torchvision, or with weights from a file.

    The number of classes is that of the weights. With 80 or 90 of them they have the names of COCO, with one in a
    network for keypoints it is "person", those of a run folder have its names, and all others `class 1`, `class 2`, ...

    Args:
        name: `torchvision/NAME`; with a file also a detector of `wholeframe models`.
        weights: a name of torchvision's weights, or a file with a state dict, or a run folder.

    Raises:
        ValueError: there are no such weights, or the file lacks some of them.
    """
    bare = name.rpartition("/")[2]
    if Path(weights).exists():
        return _of_file(name, Path(weights))
    if name in DETECTION_MODELS and weights != "DEFAULT":
        raise ValueError(f"there is neither a run folder nor a file of weights '{weights}'; give --weights FILE")
    if name in DETECTION_MODELS:
        raise ValueError(
            f"there are no published weights of {name!r} to download; train it and give the run, or give --weights "
            "FILE with its state dict, from which the number of classes is read"
        )
    known = torchvision.models.get_model_weights(bare)
    one_of("weights", weights, list(known.__members__))
    with reachable(name, weights):
        network = torchvision.models.get_model(bare, weights=known[weights])
    return ObjectPredictor(network.eval(), known[weights].meta["categories"][1:])


def _of_file(name: str, file: Path) -> ObjectPredictor:
    make, usual = _maker(name)
    network, state = make(usual), state_of(file)
    count = _classes_in(network, state, usual)
    if count != usual:
        network = make(count)
    # Frozen norms count no batches, and the count of a norm has no influence in eval mode.
    counts = {key: value for key, value in network.state_dict().items() if key.endswith("num_batches_tracked")}
    loaded = inflate(network, {**counts, **state})
    if loaded.fresh:
        raise ValueError(
            f"'{file}' has only a part of the weights of {name!r}; it lacks {listed(loaded.fresh, most=3)}"
        )
    classes = Run(file).classes() if file.is_dir() else _names(network, count - 1)
    return ObjectPredictor(network.eval(), classes)


def _maker(name: str) -> tuple[Callable[[int], nn.Module], int]:
    """The function from the number of classes, with the background, to the network; and the usual number."""
    if name in DETECTION_MODELS:
        card = DETECTION_MODELS[name]
        return card.make, card.num_classes
    bare = name.rpartition("/")[2]

    def make(count: int) -> nn.Module:
        return torchvision.models.get_model(bare, weights=None, weights_backbone=None, num_classes=count)

    return make, 2 if bare.startswith("keypoint") else len(COCO) + 1


def _classes_in(network: nn.Module, state: dict[str, Tensor], usual: int) -> int:
    """The number of classes of a state dict: the rows of its classifier, relative to those of the network."""
    for key, value in network.state_dict().items():
        if ("cls" in key or "classification" in key) and key in state and value.ndim and len(value) != len(state[key]):
            return max(usual * len(state[key]) // len(value), 1)
    return usual


def _names(network: nn.Module, count: int) -> Sequence[str]:
    if count == 1 and isinstance(network, NETWORKS.KeypointRCNN):
        return ("person",)
    named = {len(COCO): COCO, len(CLASSES): CLASSES}
    return named.get(count, tuple(f"class {k}" for k in range(1, count + 1)))


def _of_torchvision() -> list[str]:
    return torchvision.models.list_models(module=NETWORKS)
