"""The detector of a recipe: a network of the zoo by name, its norms, the size of its images, and its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torchvision
from torch import Tensor, nn

from wholeframe.messages import nearest, one_of
from wholeframe.models.build import ModelConfig, reachable
from wholeframe.models.detector import DetectorPlan, Kind, Norm
from wholeframe.models.zoo import create_model
from wholeframe.models.zoo.detection import DETECTION_MODELS
from wholeframe.surgery.placement import in_block

Learned = Literal["boxes", "masks", "keypoints"]

LEARNS: dict[Kind, Learned] = {
    "maskrcnn": "masks",
    "fasterrcnn": "boxes",
    "retinanet": "boxes",
    "keypointrcnn": "keypoints",
}
"""detector -> what it predicts beyond the classes"""


@dataclass(frozen=True)
class DetectorConfig(ModelConfig):
    """The detector that is trained."""

    backbone: str = "maskrcnn_r50_gc"
    """a detector of `wholeframe models`, such as maskrcnn_r50_gc, with its blocks"""
    weights: str | None = None
    """None for random weights; IMAGENET1K_V1 (or _V2) for the ResNet by torchvision; COCO_V1 for the whole detector by
    torchvision, where the layers of another number of classes keep random weights; on the command line also a file, as
    --start takes it"""
    block: str | None = None
    """a name of `wholeframe blocks` for further blocks, or None for those of the detector alone"""
    at: tuple[str, ...] = ("backbone.body.layer3",)
    """globs over module names of the detector: the sites of `block`"""
    norm: Norm = "batch"
    """batch norms of the ResNet: batch, which learn; or frozen, which keep the statistics of pretrained weights"""
    size: tuple[int, ...] = ()
    """shorter side that images are scaled to, pixels; of several, training takes one at random and an evaluation the
    last; none for the size of the detector, 800, or 256 for the tiny ones"""
    longest: int | None = None
    """longest side after scaling, pixels; None for that of the detector, 1333, or 384 for the tiny ones"""

    def __post_init__(self):
        if self.backbone not in DETECTION_MODELS:
            raise ValueError(
                f"there is no detector {self.backbone!r}; {nearest(self.backbone, DETECTION_MODELS)}; `wholeframe "
                "models` lists them"
            )
        if any(side < 32 for side in (*self.size, self.longest or 32)):
            raise ValueError(f"size={self.size}, longest={self.longest}: a side has at least 32 pixels; 800 is usual")
        if self.size and self.longest and max(self.size) > self.longest:
            raise ValueError(f"size={max(self.size)} is above longest={self.longest}; give --longest {max(self.size)}")

    @property
    def learns(self) -> Learned:
        """What the detector predicts beyond the classes."""
        return LEARNS[self._plan().kind]

    def create(self, num_classes: int) -> nn.Module:
        detector = create_model(self.backbone, num_classes + 1, norm=self.norm)
        scale: Any = detector.get_submodule("transform")
        scale.min_size = self.size or scale.min_size
        scale.max_size = self.longest or max(scale.max_size, *scale.min_size)
        if self.weights is not None:
            self._load(detector)
        return detector

    def _plan(self) -> DetectorPlan:
        plan = DETECTION_MODELS[self.backbone].make
        assert isinstance(plan, DetectorPlan)
        return plan

    def _load(self, detector: nn.Module) -> None:
        """Load published weights into the detector, or into its ResNet."""
        plan = self._plan()
        of_body: Any = () if plan.body == "tiny" else torchvision.models.get_model_weights(plan.body)
        of_detector: Any = ()
        if f"{plan.kind}_{plan.body}_fpn" in torchvision.models.list_models(torchvision.models.detection):
            of_detector = torchvision.models.get_model_weights(f"{plan.kind}_{plan.body}_fpn")
        known = {w.name: w for w in (*of_detector, *of_body)}
        if not known:
            raise ValueError(f"there are no published weights of {self.backbone!r}; give weights None")
        one_of("weights", self.weights, list(known))
        chosen = known[self.weights or ""]
        with reachable(self.backbone, self.weights):
            state = chosen.get_state_dict(progress=False, check_hash=True)
        load_published(detector.get_submodule("backbone.body") if chosen in list(of_body) else detector, state)


def load_published(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load weights of torchvision into a detector, or into its ResNet, that may have blocks.

    The classifier of a ResNet is left out, and so are layers whose width is the number of other classes.

    Args:
        network: changed in place.
        state: the state dict.

    Raises:
        ValueError: a weight outside of the blocks and of these layers is absent.
    """
    own = network.state_dict()
    loaded = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    network.load_state_dict(loaded, strict=False)
    absent = [k for k in own if k not in state and not in_block(k) and not k.endswith("num_batches_tracked")]
    if absent:
        raise ValueError(f"the weights lack {absent[0]!r} and {len(absent) - 1} others, so they are of another network")
