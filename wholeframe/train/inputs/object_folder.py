"""The images of a folder with their labelled objects, divided into splits and checked; see `inputs.objects`."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from wholeframe.data.detection.annotations import Annotations, Picture
from wholeframe.data.detection.dataset import DetectionDataset, DetectionImages, other_size
from wholeframe.data.detection.layouts import open_detections
from wholeframe.data.detection.transforms import augment
from wholeframe.data.image_files import reasons_not_to_use
from wholeframe.data.images import image_size
from wholeframe.data.splits import held_out, sizes
from wholeframe.data.video.views import Views
from wholeframe.messages import counted, listed, shown
from wholeframe.models.detector import KEYPOINTS
from wholeframe.surgery.probe import evaluating
from wholeframe.surgery.verify import refuse_lost
from wholeframe.train.evaluate import matched
from wholeframe.train.inputs.objects import ObjectLocation, Objects
from wholeframe.train.inputs.unread import refuse_unread, unread
from wholeframe.train.loaders import Splits, batches_of, refuse_batch
from wholeframe.train.tasks import Scores
from wholeframe.train.tasks.coco_scores import score_detections
from wholeframe.train.tasks.detection import KINDS, Detection
from wholeframe.train.whole_files import digest_of


def open_objects(data: Objects, location: ObjectLocation, task: Detection, seed: int, whole: bool) -> "ObjectInputs":
    """See `Objects.open`."""
    needed = ("train", "val", "test") if whole else ("train",)
    of_persons = task.objects == "keypoints"
    splits = open_detections(location.path, "person_keypoints" if of_persons else "instances", needed=needed)
    for split, annotations in splits.items():
        _refuse_task(annotations, split, task)
    return ObjectInputs(splits, data, location, task, seed, whole)


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
            reason = reasons.get(picture.file) or other_size(picture, *image_size(picture.file))
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
        **{name: split for name, split in splits.items() if name != "train"},
    }


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
