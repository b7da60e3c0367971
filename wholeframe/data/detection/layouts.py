"""Find out in which format a folder of labelled objects is, and read its splits.

    splits = open_detections("coco")
    splits["train"].describe()

COCO      ROOT/annotations/instances_train2017.json and ROOT/train2017/ (or ROOT/images/train2017/), the same for val;
          or ROOT/train/_annotations.coco.json next to the images, as labelling tools export
YOLO      ROOT/data.yaml, and images/ with labels/
VOC       ROOT/Annotations/*.xml, ROOT/JPEGImages/, ROOT/ImageSets/Main/train.txt
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from wholeframe.data.detection.annotations import Annotations
from wholeframe.data.detection.coco_format import read_coco
from wholeframe.data.detection.voc_format import read_voc, voc_splits
from wholeframe.data.detection.yolo_format import read_yaml, read_yolo
from wholeframe.messages import listed, quoted

Objects = Literal["instances", "person_keypoints"]

SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test",)}
EXPORTED = "_annotations.coco.json"


def open_detections(
    root: str | os.PathLike[str], objects: Objects = "instances", *, needed: Sequence[str] = ("train",)
) -> dict[str, Annotations]:
    """Read the splits of a folder in the format of COCO, YOLO or Pascal VOC.

    Args:
        root: the folder, or the data.yaml of YOLO.
        objects: where COCO has a file of each: boxes and masks, or persons with keypoints.
        needed: the splits of which the folder must have one; a training needs "train".

    Returns:
        "train", "val" and "test", as far as the folder has them; all have the same classes.

    Raises:
        ValueError: the folder has none of these layouts, none of the needed splits, or splits with different classes.
    """
    root = Path(root)
    if not root.exists():
        raise ValueError(f"there is no folder '{root}'")
    splits = dict(_splits(root, objects))
    if not any(split in splits for split in needed):
        found = f"only the splits {quoted(splits)}" if splits else "none of these layouts"
        raise ValueError(f"'{root}' has {found}, and a split {quoted(needed)} is needed. Layouts:\n{_layouts()}")
    first = next(iter(splits))
    classes = splits[first].classes
    for name, split in splits.items():
        if split.classes != classes:
            other = sorted(set(split.classes) ^ set(classes))
            raise ValueError(
                f"the splits {first} and {name} of '{root}' have different classes (only one of them has "
                f"{listed(map(repr, other)) or 'the same ones in another order'}); list all classes in both"
            )
    return splits


def _splits(root: Path, objects: Objects) -> Iterator[tuple[str, Annotations]]:
    yaml = root if root.is_file() else next((file for file in sorted(root.glob("*.y*ml"))), None)
    if yaml is not None:
        data = read_yaml(yaml)
        yield from ((split, read_yolo(data, split)) for split in data.splits)
    elif (root / "Annotations").is_dir() and any((root / "Annotations").glob("*.xml")):
        yield from _voc(root)
    else:
        yield from _coco(root, objects)


def _voc(root: Path) -> Iterator[tuple[str, Annotations]]:
    names = [name for name in SPLITS if name in voc_splits(root)] or ["train"]
    first = read_voc(root, names[0])
    every = read_voc(root, "trainval") if "trainval" in voc_splits(root) else first
    classes = tuple(sorted({*every.classes, *first.classes}))
    yield names[0], first if first.classes == classes else read_voc(root, names[0], classes)
    yield from ((name, read_voc(root, name, classes)) for name in names[1:])


def _coco(root: Path, objects: Objects) -> Iterator[tuple[str, Annotations]]:
    files = sorted((root / "annotations").glob(f"{objects}_*.json"))
    for split, words in SPLITS.items():
        exported = next((root / word / EXPORTED for word in words if (root / word / EXPORTED).is_file()), None)
        if exported is not None:
            yield split, read_coco(exported, exported.parent)
            continue
        # instances_train2017.json belongs to train2017/; a file of a part of the images has no folder of its own.
        for file in files:
            name = file.stem.removeprefix(f"{objects}_")
            folder = next((f for f in (root / name, root / "images" / name) if f.is_dir()), None)
            if folder is not None and name.rstrip("0123456789") in words:
                yield split, read_coco(file, folder)
                break


def _layouts() -> str:
    return "\n".join((__doc__ or "").strip().splitlines()[5:])
