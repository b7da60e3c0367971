"""Where files of COCO's format and their images lie: as COCO has them, and as labelling tools export them."""

from collections.abc import Iterator
from pathlib import Path

from wholeframe.messages import listed

SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
EXPORTED = "_annotations.coco.json"
IN_SPLIT = (EXPORTED, "labels.json", "annotations.json")
"""The file in a folder of one split, as Roboflow and FiftyOne write it."""

WHOLE = ("annotations/{}_default.json", EXPORTED, "labels.json", "annotations.json", "result.json", "dataset.json")
"""The file of a data set without splits, as CVAT, Roboflow, FiftyOne, labelme2coco and Label Studio write it."""


def coco_splits(root: Path, objects: str) -> tuple[dict[str, tuple[Path, Path]], list[tuple[str, str]]]:
    """Find the file and the folder of the images of every split; one file without splits is "train".

    Args:
        root: the folder of the data set.
        objects: the beginning of the names of COCO's files, such as "instances".

    Returns:
        split -> its file and the folder of its images; and what there is of other splits, as pairs of a reason and a
        file or folder.

    Raises:
        ValueError: several files are of one split, none has a folder of images, or all the files are of other kinds.
    """
    found: dict[str, tuple[Path, Path]] = {}
    parts: list[tuple[str, str]] = []
    for split, words in SPLITS.items():
        files = list(_files(root, objects, words))
        placed = [(file, folder) for file, folder in files if folder is not None]
        if len(placed) > 1:
            names = listed([f"'{file.relative_to(root)}'" for file, _ in placed])
            raise ValueError(f"'{root}' has several files for {split}: {names}; leave one of them there")
        if placed:
            found[split] = placed[0]
        else:
            parts += [("file of a split without a folder of images, left out", file.name) for file, _ in files]
    if not found:
        single = [root / name.format(objects) for name in WHOLE if (root / name.format(objects)).is_file()]
        if single:
            found["train"] = single[0], _unsplit(root)
    without = [folder for split, words in SPLITS.items() if split not in found for folder in _folders(root, words)]
    parts += [("folder of a split without a file of annotations, left out", folder.name) for folder in without]
    used = {file for file, _ in found.values()}
    for file in sorted(file for folder in (root / "annotations", root) for file in folder.glob(f"{objects}_*.json")):
        known = any(_is_split(file.stem.removeprefix(f"{objects}_"), words) for words in SPLITS.values())
        if not known and file not in used:
            parts.append(("file whose name is not that of a split, left out", file.name))
    others = sorted(file.name for folder in (root / "annotations", root) for file in folder.glob("*.json"))
    if not found and (present := [*others, *(f"{folder.name}/" for folder in without)]):
        raise ValueError(
            f"'{root}' has {listed(present)}, which is not a file with its images: put the annotations into "
            f"annotations/{objects}_train2017.json, and the images into train2017/"
        )
    return found, parts


def _files(root: Path, objects: str, words: tuple[str, ...]) -> Iterator[tuple[Path, Path | None]]:
    """Files of one split with the folder of their images; None for the folder if there is none."""
    for word in words:
        file = next((root / word / name for name in IN_SPLIT if (root / word / name).is_file()), None)
        if file is not None:
            data = root / word / "data"
            yield file, data if data.is_dir() else root / word
    # instances_train2017.json belongs to train2017/; a file of a part of the images has another name, and is not read.
    folders = (root / "annotations", root)
    prefixed = [(file, file.stem.removeprefix(f"{objects}_")) for f in folders for file in f.glob(f"{objects}_*.json")]
    for file, name in sorted(prefixed or [(file, file.stem) for f in folders for file in f.glob("*.json")]):
        if _is_split(name, words):
            divided = any(_folders(root, words) for words in SPLITS.values())
            shared = () if divided else (root / "images", root / "data", root / "JPEGImages")
            places = (root / name, root / "images" / name, *shared)
            yield file, next((place for place in places if place.is_dir()), None)


def _folders(root: Path, words: tuple[str, ...]) -> list[Path]:
    """The folders that have the name of a split."""
    places = [place for folder in (root, root / "images") if folder.is_dir() for place in sorted(folder.iterdir())]
    return [place for place in places if _is_split(place.name, words) and place.is_dir()]


def _is_split(name: str, words: tuple[str, ...]) -> bool:
    return name.lower().rstrip("0123456789_-") in words


def _unsplit(root: Path) -> Path:
    """The folder of the images of a data set without splits; names in its file may begin with `images/`."""
    places = (root / "images" / "default", root / "data", root / "images", root)
    return next(place for place in places if place.is_dir())
