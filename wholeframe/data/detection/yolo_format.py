"""YOLO's format: a text file per image, with a line per object in fractions of the image's width and height."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from wholeframe.data.detection.annotations import Account, Annotations, Instance, Picture, note_mixed_masks
from wholeframe.data.detection.image_files import located
from wholeframe.data.detection.yolo_lines import instance_of
from wholeframe.data.detection.yolo_yaml import YoloData
from wholeframe.data.images import image_size
from wholeframe.data.raster import EXTENSIONS

OTHER_TEXTS = {"classes", "labels", "license", "notes", "readme", "test", "train", "val", "valid"}
"""Names of text files that may lie with those of the images and have no objects."""


def read_yolo(data: YoloData, split: str) -> Annotations:
    """Read the text files of a split. An image without a text file, or with an empty one, has no objects.

    Args:
        data: what data.yaml says.
        split: "train", "val" or "test".

    Returns:
        The images with their objects. Lines and images that cannot be used are left out, and counted by reason.

    Raises:
        ValueError: the split has no images, or lines of which none can be used.
    """
    places, account = data.splits[split], Account()
    for reason, place in data.notes:
        account.add(reason, place)
    files = list(dict.fromkeys(_images(data, split, account)))
    given = ", ".join(f"'{place}'" for place in places)
    if not files:
        reasons = f" ({account})" if account.cases else ""
        raise ValueError(f"'{data.file}' gives {given} for {split}, where there are no images{reasons}")
    pictures: list[Picture] = []
    texts: set[Path] = set()
    number = 0
    for index, file in enumerate(files, start=1):
        text = _labels(file)
        texts.add(text)
        try:
            width, height = image_size(file)
            lines = text.read_text(encoding="utf-8-sig", errors="replace").splitlines() if text.exists() else []
        except ValueError:
            account.add("image that cannot be read, left out", file.name)
            continue
        except OSError:
            account.add("text file that cannot be read, its image left out", text.name)
            continue
        if not text.exists():
            account.add("image without a text file, taken as without objects", file.name)
        picture = Picture(file, index, width, height)
        instances: list[Instance] = []
        known: set[str] = set()
        for row, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            number += 1
            place = f"{text.name} line {row}"
            if " ".join(line.split()) in known:
                account.add("line that is there twice, the later one left out", place)
                continue
            known.add(" ".join(line.split()))
            instance = instance_of(line, picture, len(data.classes), data.keypoints, number, place, account)
            if instance is not None:
                instances.append(instance)
        pictures.append(replace(picture, instances=tuple(instances)))
    _orphans(places, texts, account)
    if not pictures:
        raise ValueError(f"'{data.file}' gives {given} for {split}, where no image can be read ({account})")
    if number and not any(picture.instances for picture in pictures):
        raise ValueError(
            f"none of the {number} lines for {split} of '{data.file}' can be used ({account}); a line is a class and "
            "fractions of the image from 0 to 1, such as `0 0.5 0.5 0.2 0.4`"
        )
    note_mixed_masks(pictures, account)
    source = places[0] if len(places) == 1 else data.file
    return Annotations(source, data.classes, tuple(pictures), tuple(range(len(data.classes))), data.joints, account)


def _images(data: YoloData, split: str, account: Account) -> Iterator[Path]:
    for place in data.splits[split]:
        if place.is_file():
            yield from _listed(place, data.root, account)
        elif place.is_dir():
            yield from sorted(file for file in place.rglob("*") if file.suffix.lower() in EXTENSIONS and file.is_file())
        else:
            account.add("folder or list of images that is not on disk, left out", str(place))


def _listed(place: Path, root: Path, account: Account) -> Iterator[Path]:
    """The images of a list, whose paths start from its folder or from that of data.yaml."""
    for line in place.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        if not (name := line.strip()):
            continue
        candidates = [file for folder in (place.parent, root) if (file := _file(folder, name))]
        if not candidates and (found := located(root, name)[0]):
            account.add("path of an image that is another one in the folder, found by its end", name)
            candidates = [found]
        if candidates:
            yield candidates[0]
        else:
            account.add("image that is not on disk, left out", name)


def _file(folder: Path, name: str) -> Path | None:
    try:
        path = (folder / name).resolve()
        return path if path.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def _labels(image: Path) -> Path:
    """The text file of an image: `.../labels/...` in place of the last `.../images/...`, or next to the image."""
    parts = list(image.with_suffix(".txt").parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    text = Path(*parts)
    return image.with_suffix(".txt") if not text.exists() and image.with_suffix(".txt").is_file() else text


def _orphans(places: tuple[Path, ...], texts: set[Path], account: Account) -> None:
    """Write down text files whose image is not on disk; where a list names the images, it has said so."""
    if not all(place.is_dir() for place in places):
        return
    for folder in sorted({text.parent for text in texts}):
        for text in sorted(folder.glob("*.txt")):
            if text not in texts and text.stem.lower() not in OTHER_TEXTS:
                account.add("text file whose image is not on disk, left out", text.name)
