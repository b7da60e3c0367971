"""Pascal VOC's format: XML files in `Annotations/`, images in `JPEGImages/`, lists of splits in `ImageSets/Main/`."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from wholeframe.data.detection.annotations import Account, Annotations, Box, Instance, Picture, clipped
from wholeframe.data.images import image_size
from wholeframe.messages import listed


def read_voc(root: Path, split: str, classes: Sequence[str] | None = None) -> Annotations:
    """Read the XML files of a split.

    The corners of a box are pixels that count from 1 and belong to the box: x1 - 1, y1 - 1, x2, y2 here. An object
    that is marked as difficult is a crowd: an evaluation neither counts nor punishes it. Masks are not read.

    Args:
        root: the folder with `Annotations/`.
        split: a list of `ImageSets/Main/`, without its suffix, such as "train"; all files if there are no lists.
        classes: names of the classes; None for those of the files, sorted.

    Returns:
        The images with their objects; what cannot be used is left out, and counted by reason.

    Raises:
        ValueError: there is no such list, or no image with an XML file that can be read.
    """
    account, pictures, number = Account(), [], 0
    read = [(name, _parsed(root / "Annotations" / f"{name}.xml", account)) for name in _names(root, split)]
    found = [(name, tree) for name, tree in read if tree is not None]
    if classes is None:
        classes = sorted({text(entry, "name") for _, tree in found for entry in tree.iter("object")} - {""})
    labels = {name: index for index, name in enumerate(classes, start=1)}
    for name, tree in found:
        file = _image(root, name, text(tree, "filename"))
        if file is None:
            account.add("image that is not on disk, left out", name)
            continue
        width, height = image_size(file)
        instances = []
        for entry in tree.iter("object"):
            number += 1
            instance = _instance(entry, width, height, labels, f"{name}.xml object {number}", account, number)
            if instance is not None:
                instances.append(instance)
        pictures.append(Picture(file, len(pictures) + 1, width, height, tuple(instances)))
    if not pictures:
        reasons = f" ({account})" if account.cases else ""
        raise ValueError(f"'{root}' has no image of the split {split!r} that can be read{reasons}")
    return Annotations(root, tuple(classes), tuple(pictures), tuple(range(1, len(classes) + 1)), (), account)


def voc_splits(root: Path) -> tuple[str, ...]:
    """The names of the lists in `ImageSets/Main/`, without those of single classes (`cat_train`)."""
    lists = sorted(file.stem for file in (root / "ImageSets" / "Main").glob("*.txt"))
    return tuple(name for name in lists if "_" not in name)


def text(element: ElementTree.Element, name: str) -> str:
    """The text of a child; empty if there is none."""
    return (element.findtext(name) or "").strip()


def _names(root: Path, split: str) -> list[str]:
    known = voc_splits(root)
    if not known:
        return sorted(file.stem for file in (root / "Annotations").glob("*.xml"))
    if split not in known:
        raise ValueError(f"'{root}' has no list 'ImageSets/Main/{split}.txt'; there are {listed(known)}")
    lines = (root / "ImageSets" / "Main" / f"{split}.txt").read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def _parsed(file: Path, account: Account) -> ElementTree.Element | None:
    try:
        return ElementTree.parse(file).getroot()
    except FileNotFoundError:
        account.add("XML file that is not on disk, its image left out", file.name)
    except (ElementTree.ParseError, ValueError, LookupError):
        account.add("XML file that cannot be read, its image left out", file.name)
    return None


def _image(root: Path, name: str, given: str) -> Path | None:
    """The image: by its name in the XML file, without the folders of the machine that wrote it, or as the XML file."""
    folder = root / "JPEGImages" if (root / "JPEGImages").is_dir() else root
    bare = given.replace("\\", "/").rpartition("/")[2]
    candidates = [folder / bare] if bare else []
    candidates += [folder / f"{name}{suffix}" for suffix in (".jpg", ".jpeg", ".png", ".JPG")]
    return next((file for file in candidates if file.is_file()), None)


def _instance(
    entry: ElementTree.Element,
    width: int,
    height: int,
    labels: dict[str, int],
    place: str,
    account: Account,
    number: int,
) -> Instance | None:
    name = text(entry, "name")
    if name not in labels:
        account.add(f"object of the class {name!r}, which is not one of the classes, left out", place)
        return None
    box = _box(entry.find("bndbox"), width, height)
    if box is None:
        account.add("box without area or outside its image, left out", place)
        return None
    area = (box[2] - box[0]) * (box[3] - box[1])
    return Instance(labels[name], box, crowd=text(entry, "difficult") == "1", area=area, id=number)


def _box(entry: ElementTree.Element | None, width: int, height: int) -> Box | None:
    if entry is None:
        return None
    try:
        x1, y1, x2, y2 = (float(text(entry, name)) for name in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        return None
    return clipped((x1 - 1, y1 - 1, x2, y2), width, height)
