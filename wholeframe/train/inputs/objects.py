"""Images with labelled objects, as COCO, YOLO and Pascal VOC have them, under a recipe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
import tyro
from torch import Tensor

from wholeframe.data.splits import refuse_fraction
from wholeframe.surgery.probe import Example
from wholeframe.train.inputs.unread import TOLERATED, refuse_tolerance
from wholeframe.train.limits import at_least, positive
from wholeframe.train.tasks.detection import Detection


@dataclass(frozen=True)
class ObjectLocation:
    """A folder of images with labelled objects."""

    path: Annotated[Path, tyro.conf.arg(name="data", metavar="DIR")]
    """folder in the format of COCO, YOLO (or its data.yaml) or Pascal VOC"""
    strict: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """raise an error for an image that does not decode, instead of naming it and leaving it out"""
    tolerate: float = TOLERATED
    """training: largest fraction of the images that may be unreadable; above it no training starts"""

    def __post_init__(self):
        refuse_tolerance(self.tolerate)


@dataclass(frozen=True)
class Objects:
    """How images with labelled objects are fed to a detector, which scales them itself."""

    location: ClassVar[type] = ObjectLocation
    noun: ClassVar[str] = "images"
    backbone: ClassVar[str] = "maskrcnn_r50_gc"

    batch: int = 16
    """images per step, over all devices"""
    flip: bool = True
    """mirror half of the training images, with left and right keypoints exchanged"""
    jitter: tuple[float, float] | None = None
    """training: smallest and largest factor on the size of an image; None for none, 0.8 1.25 is mild"""
    crop: bool = False
    """training: cut out a part around objects, as SSD does"""
    colours: bool = False
    """training: distort brightness, contrast, saturation and hue, as SSD does"""
    empty: Literal["keep", "drop"] = "drop"
    """training images without objects: drop, as the published recipes, or keep, to learn what is background"""
    val_fraction: float = 0.2
    """fraction of the images held out for validation if the data has no val split"""
    workers: int = 2
    """processes that decode images; 0 decodes in the training process"""

    def __post_init__(self):
        at_least("batch", self.batch, 1, 16)
        at_least("workers", self.workers, 0, 2)
        refuse_fraction(self.val_fraction)
        if self.jitter is not None:
            positive("jitter", min(self.jitter), "0.8 1.25")
            if self.jitter[0] > self.jitter[1]:
                raise ValueError(f"jitter={self.jitter} begins with the larger factor; give --jitter 0.8 1.25")

    def example(self) -> Example:
        """One small image: a detector takes a list of images, and scales them to 800 pixels."""
        return ([torch.rand(3, 64, 96)],)

    def collate(self, items: list[Any]) -> Any:
        """A list of images and a list of targets, because images differ in size."""
        return [image for image, _ in items], [target for _, target in items]

    def to_input(self, samples: list[Tensor]) -> list[Tensor]:
        """Images are in [0, 1], as detectors take them; nothing is left to do."""
        return samples

    def test_views(self, text: str | None) -> None:
        """None, because a detector sees the whole image; ValueError for `--views`."""
        if text is not None:
            raise ValueError(f"--views {text} applies to videos, and this recipe is for a detector; leave --views out")

    def open(self, location: ObjectLocation, task: Detection, seed: int, whole: bool = False) -> Any:
        """Read the annotations of a folder, and check every image.

        Args:
            location: the folder.
            task: the training task; the objects must have what it learns.
            seed: chooses the images that are held out where the data has no val split.
            whole: hold nothing out where the data has no val split.

        Returns:
            `wholeframe.train.inputs.object_folder.ObjectInputs`.

        Raises:
            ValueError: the folder has none of the layouts, or its objects have no masks or keypoints to learn.
        """
        from wholeframe.train.inputs.object_folder import open_objects  # It takes the types of this module.

        return open_objects(self, location, task, seed, whole)
