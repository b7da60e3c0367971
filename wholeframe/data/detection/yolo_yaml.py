"""What a YOLO data set says about itself: data.yaml, or the names of the classes in a text file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wholeframe.data.detection.transforms import mirrored
from wholeframe.messages import listed, quoted, shown

SPLITS = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}
NAMES = ("classes.txt", "obj.names", "data/obj.names")
"""Files of the names of the classes, one in a line, as Label Studio and darknet have them."""


@dataclass(frozen=True)
class YoloData:
    """What data.yaml says.

    Args:
        file: data.yaml.
        root: the folder that its paths start from.
        classes: names of the classes.
        splits: the folders and the lists of images of each split.
        keypoints: numbers per object: how many keypoints, and 2 or 3 values for each of them; (0, 0) without.
        joints: names of the keypoints.
        notes: pairs of a reason and a place, for the account of every split.
    """

    file: Path
    root: Path
    classes: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]
    keypoints: tuple[int, int] = (0, 0)
    joints: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


def read_yaml(file: Path) -> YoloData:
    """Read data.yaml.

    Raises:
        ValueError: it is not YAML, has no `names` or no `train`, or says what cannot be.
    """
    content = _content(file)
    if "names" not in content:
        raise ValueError(f"'{file}' has no `names` of classes, such as `names: [cat, dog]`")
    classes = _classes(file, content["names"])
    if content.get("nc") not in (None, len(classes)):
        raise ValueError(
            f"'{file}' has nc: {shown(content['nc'])}, and {len(classes)} `names`; give a name for each class"
        )
    # `path` may be absolute, or start from the folder of the file; without it the other paths start there.
    root, notes = file.parent.resolve(), []
    given = content.get("path")
    if isinstance(given, str) and (file.parent / given).is_dir():
        root = (file.parent / given).resolve()
    elif given is not None:
        notes.append((f"`path` of {file.name} that is not a folder here, that of the file taken instead", str(given)))
    splits: dict[str, tuple[Path, ...]] = {}
    for split, words in SPLITS.items():
        present = [word for word in words if content.get(word)]
        if len(present) > 1:
            raise ValueError(f"'{file}' has {' and '.join(f'`{word}`' for word in present)}; leave one of them")
        if present:
            splits[split] = _places(file, root, present[0], content[present[0]])
    if "train" not in splits:
        raise ValueError(f"'{file}' has no `train`, the folder or the list of the training images")
    if "val" not in splits:
        notes.append(("data set without `val`, so that there are no images to evaluate on", file.name))
    shape = _shape(file, content.get("kpt_shape"))
    joints, note = _joints(file, content, shape[0])
    return YoloData(file, root, classes, splits, shape, joints, (*notes, *note))


def describes_yolo(file: Path) -> bool:
    """Whether a file of YAML is the description of a data set of YOLO."""
    try:
        return {"names", "train"} <= set(_content(file))
    except ValueError:
        return False


def read_names(root: Path) -> YoloData | None:
    """A data set without data.yaml: the names of the classes in a text file, images in `images/` or in lists.

    Raises:
        ValueError: there is no text in the file of the names.
    """
    file = next((root / name for name in NAMES if (root / name).is_file()), None)
    if file is None:
        return None
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except ValueError as error:
        raise ValueError(f"'{file}' is not a text file in UTF-8; write the name of a class in each line") from error
    classes = _classes(file, [line.strip() for line in lines if line.strip()])
    splits: dict[str, tuple[Path, ...]] = {}
    for split, words in SPLITS.items():
        places = [place for word in words for place in (root / "images" / word, root / f"{word}.txt") if place.exists()]
        splits |= {split: (places[0],)} if places else {}
    whole = [place for place in (root / "images", root / "obj_train_data") if place.is_dir()]
    if not splits and whole:
        splits["train"] = (whole[0],)
    return YoloData(file, root.resolve(), classes, splits) if splits else None


def _content(file: Path) -> dict[str, Any]:
    try:
        text = file.read_bytes()
        content = yaml.safe_load(text)
        twice = _twice(yaml.compose(text, Loader=yaml.SafeLoader))
    except OSError as error:
        raise ValueError(f"'{file}' cannot be read ({error.strerror})") from error
    except Exception as error:  # On values that their tag does not allow PyYAML raises anything.
        raise ValueError(f"'{file}' is not a YAML file that can be read ({shown(error)})") from error
    if twice:
        raise ValueError(f"'{file}' has {quoted(twice)} twice; leave one of them")
    return content if isinstance(content, dict) else {}


def _twice(node: Any) -> list[str]:
    """Keys that are twice in a mapping or in one within it, of which PyYAML drops the first without a word."""
    if not isinstance(node, yaml.MappingNode):
        return []
    inner = [value for _, value in node.value if isinstance(value, yaml.MappingNode)]
    found = []
    for mapping in (node, *inner):
        keys = [shown(key.value) for key, _ in mapping.value]
        found += sorted({key for key in keys if keys.count(key) > 1})
    return found


def _classes(file: Path, names: Any) -> tuple[str, ...]:
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str) or any(isinstance(key, bool) for key in names):
            numbers = listed([shown(key) for key in names])
            raise ValueError(f"'{file}' numbers its `names` {numbers}; number them from 0 on, without a gap")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise ValueError(f"'{file}' has no `names` of classes, such as `names: [cat, dog]`")
    for number, name in enumerate(names):
        if type(name) not in (str, int, float) or not str(name).strip():
            kind = "a mapping or a list" if isinstance(name, dict | list) else repr(name)
            raise ValueError(f"'{file}' has {kind} as the name of class {number}; write the name in quotes")
    if twice := sorted({str(name) for name in names if names.count(name) > 1}):
        raise ValueError(f"'{file}' has several classes that are called {quoted(map(shown, twice))}; rename them")
    return tuple(map(str, names))


def _places(file: Path, root: Path, word: str, given: Any) -> tuple[Path, ...]:
    """The folders and lists of a split. Exports of labelling tools write `../train/images` for `train/images`."""
    places = given if isinstance(given, list) else [given]
    if not all(isinstance(place, str) for place in places):
        raise ValueError(f"'{file}' has no path in `{word}`; give a folder, a list of images, or several of them")
    found = []
    for place in places:
        path = root / place
        if not path.exists() and place.startswith("../"):
            path = root / place.removeprefix("../")
        found.append(path)
    return tuple(found)


def _shape(file: Path, given: Any) -> tuple[int, int]:
    if given is None:
        return 0, 0
    if not (
        isinstance(given, list)
        and len(given) == 2
        and all(type(number) is int for number in given)
        and 0 < given[0] <= 1000
        and given[1] in (2, 3)
    ):
        raise ValueError(
            f"'{file}' has a `kpt_shape` that is not a number of keypoints and 2 or 3 values for each; write [17, 3]"
        )
    return given[0], given[1]


def _joints(file: Path, content: Mapping[str, Any], count: int) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Names of the keypoints, in which a flip exchanges left and right; and what has to be said about them.

    Without names, the pairs of `flip_idx` are called left and right in the order in which they are numbered.
    """
    if not count:
        if content.get("flip_idx") or content.get("kpt_names"):
            raise ValueError(
                f"'{file}' has keypoints and no `kpt_shape`; write their number and values, such as [17, 3]"
            )
        return (), []
    flip, names = content.get("flip_idx"), content.get("kpt_names")
    if isinstance(names, dict) and len(names) == 1:
        (names,) = names.values()
    named = isinstance(names, list) and len({name for name in names if isinstance(name, str)}) == len(names) == count
    paired = (
        isinstance(flip, list) and len(flip) == count and [_at(flip, other) for other in flip] == list(range(count))
    )
    if flip is not None and not paired:
        raise ValueError(f"'{file}' has a `flip_idx` that does not exchange {count} keypoints in pairs; correct it")
    if named and isinstance(names, list):
        if paired and mirrored(names) != flip:
            raise ValueError(
                f"'{file}' has a `flip_idx` that is not the exchange of left and right in its `kpt_names`; correct one"
            )
        return tuple(names), []
    if paired and isinstance(flip, list):
        pairs = [(sorted((index, other)), index > other) for index, other in enumerate(flip)]
        return tuple(
            f"keypoint {low}" if low == high else f"{'right' if later else 'left'} of keypoints {low} and {high}"
            for (low, high), later in pairs
        ), []
    note = ("keypoints without `flip_idx`, so that a flip of the image exchanges none of them", file.name)
    return tuple(f"keypoint {index}" for index in range(count)), [note]


def _at(values: list[Any], index: Any) -> Any:
    return values[index] if type(index) is int and 0 <= index < len(values) else None
