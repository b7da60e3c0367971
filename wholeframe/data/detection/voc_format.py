"""Pascal VOC's format: XML files in `Annotations/`, images in `JPEGImages/`, lists of splits in `ImageSets/Main/`."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from wholeframe.data.detection.annotations import Account, Annotations, Box, Instance, Picture, fitted
from wholeframe.data.detection.image_files import located
from wholeframe.data.images import image_size
from wholeframe.data.raster import EXTENSIONS
from wholeframe.messages import listed

CORNERS = ("xmin", "ymin", "xmax", "ymax")
IMAGES = ("JPEGImages", "images", "data")
XMLS = ("Annotations", "labels")
"""Folders within a data set: as VOC has them, and as Label Studio and FiftyOne export them."""


def read_voc(root: Path, split: str, classes: Sequence[str] | None = None) -> Annotations:
    """Read the XML files of a split.

    The corners of a box are pixels that count from 1 and belong to the box: x1 - 1, y1 - 1, x2, y2 here. An object
    that is marked as difficult is a crowd: an evaluation neither counts nor punishes it. Masks are not read.

    Args:
        root: the folder with `Annotations/`, or a folder of XML files with their images.
        split: a list of `ImageSets/Main/`, without its suffix, such as "train"; all files if there are no lists.
        classes: names of the classes; None for those of the files, sorted.

    Returns:
        The images with their objects; what cannot be used is left out, and counted by reason.

    Raises:
        ValueError: there is no such list, or no image or no object that can be used.
    """
    account, pictures, number = Account(), [], 0
    folder = xml_folder(root)
    read = [(name, _parsed(folder / f"{name}.xml", account)) for name in _names(root, split, account)]
    found = [(name, tree) for name, tree in read if tree is not None]
    if classes is None:
        classes = sorted({text(entry, "name") for _, tree in found for entry in tree.iter("object")} - {""})
    labels = {name: index for index, name in enumerate(classes, start=1)}
    files: set[Path] = set()
    for name, tree in found:
        file = _image(root, name, text(tree, "filename"), account)
        if file is None:
            continue
        size = _size(file, tree)
        if size is None:
            account.add("image that cannot be read, left out", file.name)
            continue
        if file in files:
            account.add("image of several XML files, kept with each of them", f"{name}.xml")
        files.add(file)
        picture = Picture(file, len(pictures) + 1, *size)
        instances: list[Instance] = []
        known: set[tuple[str, ...]] = set()
        for entry in tree.iter("object"):
            number += 1
            place = f"{name}.xml object {number}"
            if (written := _written(entry)) in known:
                account.add("object that is there twice, the later one left out", place)
                continue
            known.add(written)
            instance = _instance(entry, picture, labels, place, account, number)
            if instance is not None:
                instances.append(instance)
        pictures.append(replace(picture, instances=tuple(instances)))
    if not pictures:
        reasons = f" ({account})" if account.cases else ""
        raise ValueError(f"'{root}' has no image of the split {split!r} that can be read{reasons}")
    if number and not any(picture.instances for picture in pictures):
        raise ValueError(f"none of the {number} objects of the split {split!r} of '{root}' can be used ({account})")
    if not voc_splits(root):
        _orphans(files, {name for name, _ in read}, account)
    return Annotations(root, tuple(classes), tuple(pictures), tuple(range(1, len(classes) + 1)), (), account)


def xml_folder(root: Path) -> Path:
    """The folder of the XML files."""
    return next((root / name for name in XMLS if any((root / name).glob("*.xml"))), root)


def voc_splits(root: Path) -> tuple[str, ...]:
    """The names of the lists in `ImageSets/Main/`, without those of single classes (`cat_train`)."""
    lists = sorted(file.stem for file in (root / "ImageSets" / "Main").glob("*.txt"))
    return tuple(name for name in lists if "_" not in name)


def unlisted(root: Path) -> list[str]:
    """The names of XML files that are in none of the lists, if there are lists."""
    listed_names = {name for split in voc_splits(root) for name in _names(root, split, Account())}
    return sorted({file.stem for file in xml_folder(root).glob("*.xml")} - listed_names) if voc_splits(root) else []


def text(element: ElementTree.Element, name: str) -> str:
    """The text of a child; empty if there is none."""
    return (element.findtext(name) or "").strip()


def _names(root: Path, split: str, account: Account) -> list[str]:
    known, folder = voc_splits(root), xml_folder(root)
    if not known:
        return sorted(file.stem for file in folder.glob("*.xml"))
    if split not in known:
        raise ValueError(f"'{root}' has no list 'ImageSets/Main/{split}.txt'; there are {listed(known)}")
    file = root / "ImageSets" / "Main" / f"{split}.txt"
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except ValueError as error:
        raise ValueError(f"'{file}' is not a text file in UTF-8; write the name of an image in each line") from error
    except OSError as error:
        raise ValueError(f"'{file}' cannot be read ({error.strerror})") from error
    names: dict[str, None] = {}
    for line in filter(None, map(str.strip, lines)):
        # A name may have spaces; lists of one class have 1 or -1 after it.
        name = next((n for n in (line, line.split()[0]) if os.path.isfile(folder / f"{n}.xml")), line.split()[0])
        if name.startswith("/") or ".." in name.replace("\\", "/").split("/"):
            account.add("name in a list that leads out of its folder, left out", name)
        elif name in names:
            account.add("image that its list names twice, read once", name)
        else:
            names[name] = None
    return list(names)


def _parsed(file: Path, account: Account) -> ElementTree.Element | None:
    try:
        tree = ElementTree.parse(file).getroot()
    except FileNotFoundError:
        account.add("XML file that is not on disk, its image left out", file.name)
        return None
    except (ElementTree.ParseError, ValueError, LookupError, OSError):
        account.add("XML file that cannot be read, its image left out", file.name)
        return None
    if tree.tag != "annotation" and tree.find("object") is None:
        account.add(f"XML file of another kind (<{tree.tag}> in place of <annotation>), its image left out", file.name)
        return None
    return tree


def _image(root: Path, name: str, given: str, account: Account) -> Path | None:
    """The image: of the name of the XML file, as in the lists of VOC, or else of the name in it."""
    folder = next((root / images for images in IMAGES if (root / images).is_dir()), root)
    stem = given.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    bare = Path(name).name
    if stem == bare and (file := located(folder, given)[0]):
        return file
    same = [folder / f"{name}{end}" for suffix in sorted(EXTENSIONS) for end in (suffix, suffix.upper())]
    file = next((file for file in same if os.path.isfile(file)), None)
    file = file or located(folder, given)[0]
    if file is None:
        account.add("image that is not on disk, left out", name)
    elif stem not in ("", bare):
        account.add(f"name of the image in an XML file that differs from its own, '{file.name}' read", f"{name}.xml")
    return file


def _size(file: Path, tree: ElementTree.Element) -> tuple[int, int] | None:
    """Width and height that the annotations are for; those of the image where a tool writes none, or zeros."""
    given = tree.find("size")
    sides = [text(given, side) for side in ("width", "height")] if given is not None else ["", ""]
    if all(side.isascii() and side.isdigit() and len(side) < 10 and int(side) > 0 for side in sides):
        return int(sides[0]), int(sides[1])
    try:
        return image_size(file)
    except ValueError:
        return None


def _orphans(files: set[Path], names: set[str], account: Account) -> None:
    """Write down images without an XML file, where no list says that they are of no split."""
    for folder in sorted({file.parent for file in files}):
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() in EXTENSIONS and file not in files and file.stem not in names:
                account.add("image without an XML file, left out", file.name)


def _instance(
    entry: ElementTree.Element, picture: Picture, labels: dict[str, int], place: str, account: Account, number: int
) -> Instance | None:
    name, difficult = text(entry, "name"), text(entry, "difficult").lower()
    if any(len(entry.findall(field)) > 1 for field in ("name", "bndbox", "difficult")):
        account.add("object with two names, boxes or <difficult>, left out", place)
        return None
    if name not in labels:
        account.add(f"object of the class {name!r}, which is not one of the classes, left out", place)
        return None
    if difficult not in ("", "0", "1", "false", "true", "unspecified"):
        account.add("object whose <difficult> is not 0 or 1, left out", place)
        return None
    corners = _corners(entry.find("bndbox"))
    if corners is None:
        account.add("object without a box of four numbers (a box without area), left out", place)
        return None
    box = fitted(corners, picture.width, picture.height, place, account)
    if box is None:
        return None
    area = (box[2] - box[0]) * (box[3] - box[1])
    return Instance(labels[name], box, crowd=difficult in ("1", "true"), area=area, id=number)


def _written(entry: ElementTree.Element) -> tuple[str, ...]:
    """What is read of an object, as text."""
    box = entry.find("bndbox")
    corners = [text(box, corner) for corner in CORNERS] if box is not None else []
    return text(entry, "name"), text(entry, "difficult"), *corners


def _corners(entry: ElementTree.Element | None) -> Box | None:
    if entry is None:
        return None
    try:
        x1, y1, x2, y2 = (float(text(entry, name)) for name in CORNERS)
    except ValueError:
        return None
    return x1 - 1, y1 - 1, x2, y2
