"""Find out in which format a folder of labelled objects is, and read its splits.

    splits = open_detections("coco")
    splits["train"].describe()

COCO      ROOT/annotations/instances_train2017.json and ROOT/train2017/ (or ROOT/images/train2017/), the same for val;
          or ROOT/train/_annotations.coco.json next to the images; or one file of all images, as labelling tools export
YOLO      ROOT/data.yaml, and images/ with labels/; or ROOT/classes.txt, images/ and labels/
VOC       ROOT/Annotations/*.xml, ROOT/JPEGImages/, ROOT/ImageSets/Main/train.txt; or ROOT/train/*.xml with the images
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from wholeframe.data.detection.annotations import Annotations
from wholeframe.data.detection.coco_format import read_coco
from wholeframe.data.detection.coco_layouts import SPLITS, coco_splits
from wholeframe.data.detection.voc_format import read_voc, unlisted, voc_splits, xml_folder
from wholeframe.data.detection.yolo_format import read_yolo
from wholeframe.data.detection.yolo_yaml import YoloData, describes_yolo, read_names, read_yaml
from wholeframe.messages import in_quotes, listed, one_of, quoted

Objects = Literal["instances", "person_keypoints"]
YAML = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


def open_detections(
    root: str | os.PathLike[str], objects: Objects = "instances", *, needed: Sequence[str] = ("train",)
) -> dict[str, Annotations]:
    """Read the splits of a folder in the format of COCO, YOLO or Pascal VOC.

    Args:
        root: the folder, or the data.yaml of YOLO.
        objects: where COCO has a file of each: boxes and masks, or persons with keypoints.
        needed: the splits of which the folder must have one; a training needs "train".

    Returns:
        "train", "val" and "test", as far as the folder has them; all have the same classes. Files of a data set that is
        not divided are "train".

    Raises:
        ValueError: the folder has none of these layouts, none of the needed splits, splits with different classes, or
            no keypoints with objects="person_keypoints".
    """
    one_of("objects", objects, get_args(Objects))
    root = Path(root)
    if not root.exists():
        raise ValueError(f"there is no folder '{root}'")
    if root.is_file() and root.suffix.lower() not in (".yaml", ".yml"):
        raise ValueError(f"'{root}' is a file; give the folder that has it and the images, or the data.yaml of YOLO")
    splits = dict(_splits(root, objects))
    if not any(split in splits for split in needed):
        found = f"only the splits {quoted(splits)}" if splits else "none of these layouts"
        found += "".join(f" ({split.account})" for split in splits.values() if split.account.cases)
        raise ValueError(f"'{root}' has {found}, and a split {quoted(needed)} is needed. Layouts:\n{_layouts()}")
    first, *_ = splits
    classes, keypoints = splits[first].classes, splits[first].keypoints
    for name, split in splits.items():
        if split.classes != classes:
            other = sorted(set(split.classes) ^ set(classes))
            raise ValueError(
                f"the splits {first} and {name} of '{root}' have different classes (only one of them has "
                f"{listed(in_quotes(other)) or 'the same ones in another order'}); list all classes in both"
            )
        if split.keypoints != keypoints:
            raise ValueError(
                f"the splits {first} and {name} of '{root}' have different keypoints; list the same in both"
            )
        if objects == "person_keypoints" and not split.keypoints:
            raise ValueError(f"'{split.source}' has no keypoints; give objects='instances' to read its boxes and masks")
    _note_shared(splits)
    return splits


def _splits(root: Path, objects: Objects) -> Iterator[tuple[str, Annotations]]:
    data = _yolo(root)
    if data is not None:
        yield from ((split, read_yolo(data, split)) for split in data.splits)
    elif xml_folder(root) != root:
        yield from _voc(root)
    elif folders := _xml_folders(root):
        yield from _voc_folders(folders)
    else:
        files, parts = coco_splits(root, objects)
        for split, (file, images) in files.items():
            annotations = read_coco(file, images)
            for reason, place in parts:
                annotations.account.add(reason, place)
            parts = []  # once, with the first split
            yield split, annotations
        if not files and (strange := sorted(root.glob("*.y*ml"))):
            read_yaml(strange[0])  # says what is wrong with it


def _yolo(root: Path) -> YoloData | None:
    """What describes a data set of YOLO; files of YAML may be there for other reasons."""
    if root.is_file():
        return read_yaml(root)
    if named := [root / name for name in YAML if (root / name).is_file()]:
        return read_yaml(named[0])
    found = [file for file in sorted(root.glob("*.y*ml")) if describes_yolo(file)]
    if len(found) > 1:
        raise ValueError(
            f"'{root}' has several data sets of YOLO, {listed(in_quotes(f.name for f in found))}; give one"
        )
    return read_yaml(found[0]) if found else read_names(root)


def _voc(root: Path) -> Iterator[tuple[str, Annotations]]:
    lists = voc_splits(root)
    names = {split: name for split, words in SPLITS.items() for name in lists if name.lower() in words}
    if not names:
        names = {"train": lists[0] if len(lists) == 1 else "train"}  # CVAT has a list that it calls default
    first = read_voc(root, next(iter(names.values())))
    every = read_voc(root, "trainval") if "trainval" in lists and len(lists) > 1 else first
    classes = tuple(sorted({*every.classes, *first.classes}))
    for split, name in names.items():
        known = name == next(iter(names.values())) and first.classes == classes
        annotations = first if known else read_voc(root, name, classes)
        for stem in unlisted(root) if name == next(iter(names.values())) else ():
            annotations.account.add("XML file that no list of a split names, left out", f"{stem}.xml")
        yield split, annotations


def _xml_folders(root: Path) -> dict[str, Path]:
    """The folders of XML files that have their images next to them, as Roboflow and labelImg write them."""
    inner = {
        split: root / word for split, words in SPLITS.items() for word in words if any((root / word).glob("*.xml"))
    }
    return inner or ({"train": root} if any(root.glob("*.xml")) else {})


def _voc_folders(folders: dict[str, Path]) -> Iterator[tuple[str, Annotations]]:
    classes = sorted({name for folder in folders.values() for name in read_voc(folder, "train").classes})
    yield from ((split, read_voc(folder, split, classes)) for split, folder in folders.items())


def _note_shared(splits: dict[str, Annotations]) -> None:
    """Write down images that are in two splits: a score on what was trained on says little."""
    seen: dict[Path, str] = {}
    for name, split in splits.items():
        for file in dict.fromkeys(picture.file for picture in split.pictures):
            if (other := seen.setdefault(file, name)) != name:
                split.account.add(f"image that {other} has too, kept in both", file.name)


def _layouts() -> str:
    return "\n".join((__doc__ or "").strip().splitlines()[5:])
