"""Images with labelled objects, as COCO, YOLO and Pascal VOC have them, under a recipe."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
import tyro
from torch import Tensor, nn
from torch.utils.data import DataLoader

from wholeframe.data.detection.annotations import Annotations, Picture
from wholeframe.data.detection.dataset import DetectionDataset, DetectionImages
from wholeframe.data.detection.layouts import open_detections
from wholeframe.data.detection.transforms import augment
from wholeframe.data.image_files import reasons_not_to_use
from wholeframe.data.images import image_size
from wholeframe.data.splits import held_out, refuse_fraction, sizes
from wholeframe.data.video.views import Views
from wholeframe.messages import counted, listed, shown
from wholeframe.models.detector import KEYPOINTS
from wholeframe.surgery.probe import Example, evaluating
from wholeframe.surgery.verify import refuse_lost
from wholeframe.train.evaluate import matched
from wholeframe.train.inputs.unread import TOLERATED, refuse_tolerance, refuse_unread, unread
from wholeframe.train.limits import at_least, positive
from wholeframe.train.loaders import Splits, batches_of, refuse_batch
from wholeframe.train.tasks import Scores
from wholeframe.train.tasks.coco_scores import score_detections
from wholeframe.train.tasks.detection import KINDS, Detection
from wholeframe.train.whole_files import digest_of


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

    def open(self, location: ObjectLocation, task: Detection, seed: int, whole: bool = False) -> "ObjectInputs":
        """Read the annotations of a folder, and check every image.

        Args:
            location: the folder.
            task: the training task; the objects must have what it learns.
            seed: chooses the images that are held out where the data has no val split.
            whole: hold nothing out where the data has no val split.

        Raises:
            ValueError: the folder has none of the layouts, or its objects have no masks or keypoints to learn.
        """
        needed = ("train", "val", "test") if whole else ("train",)
        of_persons = task.objects == "keypoints"
        splits = open_detections(location.path, "person_keypoints" if of_persons else "instances", needed=needed)
        for split, annotations in splits.items():
            _refuse_task(annotations, split, task)
        return ObjectInputs(splits, self, location, task, seed, whole)


class ObjectInputs:
    """Images with labelled objects under a recipe; see `wholeframe.train.inputs.Inputs`."""

    header: tuple[str, ...] = ("file", "image_id")

    def __init__(
        self,
        splits: dict[str, Annotations],
        data: Objects,
        location: ObjectLocation,
        task: Detection,
        seed: int,
        whole: bool,
    ):
        self.data, self.location, self.task, self.seed = data, location, task, seed
        self.read = splits
        files = {picture.file for split in splits.values() for picture in split.pictures}
        reasons = reasons_not_to_use(sorted(files))
        self.lost: list[tuple[str, str]] = []
        self.total = sum(len(split.pictures) for split in splits.values())
        usable = {name: self._usable(split, reasons) for name, split in splits.items()}
        self.split = usable
        self.divided = "val" in usable or not whole
        if "val" not in usable:
            self.split = {"all": next(iter(usable.values()))} if whole else _held_out(usable, data.val_fraction, seed)

    def _usable(self, annotations: Annotations, reasons: dict[Path, str]) -> Annotations:
        """The annotations without the images that cannot be read, or have another size than annotated."""
        kept: list[Picture] = []
        for picture in annotations.pictures:
            reason = reasons.get(picture.file) or _other_size(picture)
            if reason is None:
                kept.append(picture)
            elif self.location.strict:
                raise ValueError(
                    f"'{shown(picture.file)}' cannot be used: {reason}; leave --strict out to go without it"
                )
            else:
                self.lost.append((self._name(picture), reason))
        return replace(annotations, pictures=tuple(kept))

    @property
    def classes(self) -> tuple[str, ...]:
        return next(iter(self.read.values())).classes

    def describe(self) -> str:
        found = "; ".join(annotations.describe() for annotations in self.read.values())
        parts = [self.split[name].pictures for name in ("train", "val", "test") if name in self.split]
        held = ""
        if self.divided and "val" not in self.read:
            held = f"; no val split, so it is divided into {sizes(*parts, *[()] * (3 - len(parts)))} images"
        return "".join([found, held, *(f"; {lost}" for lost in filter(None, [self.failures()]))])

    def splits(self) -> Splits:
        train, val = self.split["train"], self.split["val"]
        change = augment(
            train.keypoints if self.task.objects == "keypoints" else (),
            flip=self.data.flip,
            jitter=self.data.jitter,
            crop=self.data.crop,
            colours=self.data.colours,
        )
        samples = DetectionDataset(train, change, empty=self.data.empty, learn=self.task.objects)
        refuse_batch(self.location.path, len(samples), "images with objects", self.data.batch)
        return Splits(samples, DetectionImages(val), self.classes, self.data, self.seed)

    def batches(self, split: str, views: Views | None) -> DataLoader:
        return batches_of(DetectionImages(self._of(split)), self.data, self.seed)

    def evaluate(
        self,
        network: nn.Module,
        batches: DataLoader,
        task: Detection,
        classes: Sequence[str],
        after_batch: Callable[[], None],
    ) -> Scores:
        """COCO's figures; detections of classes that the data does not have are left out, and counted."""
        annotations: Annotations = batches.dataset.samples.annotations  # type: ignore[attr-defined]
        device = next(network.parameters()).device
        places = torch.zeros(len(classes) + 1, dtype=torch.int64)  # 0 is the background, or a class the data lacks
        places[torch.tensor(matched(annotations.classes, classes)) + 1] = torch.arange(len(annotations.classes)) + 1
        strange: Counter[str] = Counter()

        def found() -> Iterator[tuple[int, dict[str, Tensor]]]:
            for images, targets in batches:
                for target, detection in zip(targets, network([image.to(device) for image in images]), strict=True):
                    labels = places[detection["labels"].cpu()]
                    known = labels > 0
                    strange.update([classes[int(label) - 1] for label in detection["labels"].cpu()[~known]])
                    kept = {name: value.cpu()[known] for name, value in detection.items()}
                    yield target["image_id"], {**kept, "labels": labels[known]}
                after_batch()

        refuse_lost(network)
        with evaluating(network), torch.no_grad():
            scores = score_detections(found(), annotations, KINDS[task.objects])
        for name, count in strange.items():
            scores.account.add("class that the data does not have, its detections left out", f"{count} of {name!r}")
        return scores

    def names(self, split: str) -> list[tuple[str, ...]]:
        return [(self._name(picture), str(picture.id)) for picture in self._of(split).pictures]

    def samples(self) -> list[tuple[str, str, str]]:
        """The label of an image is the number of its objects, and a checksum of them."""
        return [
            (name, self._name(picture), f"{counted(len(picture.instances), 'object')} {_checksum(picture)}")
            for name, split in self.split.items()
            for picture in split.pictures
        ]

    def left_out(self) -> list[tuple[str, str]]:
        accounts = [case for annotations in self.read.values() for case in annotations.account]
        return [*self.lost, *accounts]

    def refuse_unread(self) -> None:
        refuse_unread(self.location.path, self.lost, self.total, "images", self.location.tolerate)

    def failures(self) -> str:
        return unread(self.lost, self.total, "images")

    def _of(self, split: str) -> Annotations:
        if split not in self.split:
            raise ValueError(f"'{self.location.path}' has no {split} split; give --split {' or '.join(self.split)}")
        return self.split[split]

    def _name(self, picture: Picture) -> str:
        root = self.location.path
        file = picture.file.relative_to(root) if picture.file.is_relative_to(root) else picture.file
        return file.as_posix()


def _other_size(picture: Picture) -> str | None:
    width, height = image_size(picture.file)
    if (width, height) == (picture.width, picture.height):
        return None
    return f"it is of {width} x {height} pixels, and its annotations are for {picture.width} x {picture.height}"


def _checksum(picture: Picture) -> str:
    return digest_of(repr(picture.instances))[:12]


def _held_out(splits: dict[str, Annotations], fraction: float, seed: int) -> dict[str, Annotations]:
    """The splits with a part of the training images as val; a test split stays what it is."""
    train = splits["train"]
    if len(train.pictures) < 2:
        raise ValueError(
            f"'{train.source}' has one image that can be used, and a training needs another to validate on"
        )
    files = [picture.file for picture in train.pictures]
    held = held_out(Path(os.path.commonpath([file.parent for file in files])), files, fraction, seed)
    parts = {
        "train": tuple(p for p in train.pictures if p.file not in held),
        "val": tuple(p for p in train.pictures if p.file in held),
    }
    return {
        **{name: replace(train, pictures=pictures) for name, pictures in parts.items()},
        **_without(splits, "train"),
    }


def _without(splits: dict[str, Annotations], name: str) -> dict[str, Annotations]:
    return {key: value for key, value in splits.items() if key != name}


def _refuse_task(annotations: Annotations, split: str, task: Detection) -> None:
    """ValueError if the objects have not what the task learns."""
    objects = [instance for picture in annotations.pictures for instance in picture.instances]
    if task.objects == "masks" and (without := sum(o.segmentation is None for o in objects)):
        raise ValueError(
            f"{without} of the {counted(len(objects), 'object')} of the {split} split of '{annotations.source}' have "
            "no mask to learn; take a detector of boxes: --objects boxes --backbone fasterrcnn_r50_gc"
        )
    if task.objects == "keypoints" and len(annotations.keypoints) != KEYPOINTS:
        has = listed(annotations.keypoints, most=3) or "none"
        raise ValueError(
            f"the detector learns the {KEYPOINTS} keypoints of a person in COCO, and '{annotations.source}' has "
            f"{len(annotations.keypoints)} ({has})"
        )
