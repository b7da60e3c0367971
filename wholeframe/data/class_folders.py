"""Folders with one folder per class: which of them are for training, validation and testing, and their files."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from wholeframe.data.splits import TEST_NAMES, TRAIN_NAMES, VAL_NAMES, validated_on

FilesByClass = dict[str, list[Path]]


class SplitFolders(NamedTuple):
    """The folders that hold the class folders of each split.

    Attributes:
        train: the folder to train on; the root itself if it is not split.
        val: the folder to validate on; None if a part of `train` must be held out.
        test: the folder for the final test, if there is one in addition to `val`.
    """

    train: Path
    val: Path | None = None
    test: Path | None = None

    def __str__(self) -> str:
        """`split by the folders train/, val/ and test/`."""
        *first, last = [f"{folder.name}/" for folder in self if folder]
        return f"split by the folders {', '.join(first)} and {last}"

    def unused(self, root: Path) -> tuple[str, ...]:
        """The other folders in a root that is split, such as a test/ without labels."""
        return tuple(f"{folder.name}/" for folder in folders_in(root) if folder not in self) if self.val else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """The warning if `val` is a folder that is called a test folder."""
        return (validated_on(f"{self.val.name}/"),) if self.val and self.val.name.lower() in TEST_NAMES else ()


def expected_layout(extension: str) -> str:
    """The layouts that can be read, to end an error message with."""
    return f"""
Expected one folder per class, either split already, or not:
    ROOT/train/cat/1.{extension}        ROOT/cat/1.{extension}
    ROOT/train/dog/2.{extension}        ROOT/cat/2.{extension}
    ROOT/val/cat/3.{extension}          ROOT/dog/3.{extension}
    ROOT/val/dog/4.{extension}          ROOT/dog/4.{extension}
(val/ may also be called valid/ or validation/. A test/ next to it is for the final test; without val/ it is
validated on.)"""


def find_splits(root: Path, layout: str) -> SplitFolders:
    """Find the folders of the splits in `root`; their names may be in any case of letters.

    Args:
        root: the folder that was opened.
        layout: the expected layout, to end error messages with.

    Returns:
        The folders of the splits; `SplitFolders(root)` if `root` is not split.

    Raises:
        FileNotFoundError: there is no such folder.
        NotADirectoryError: `root` is a file.
        ValueError: there is a train/ without a val/ or test/, or the reverse.
    """
    if not root.exists():
        raise FileNotFoundError(f"there is no folder '{root}'.{layout}")
    if not root.is_dir():
        raise NotADirectoryError(f"'{root}' is a file, not a folder of class folders.{layout}")
    by_name = {folder.name.lower(): folder for folder in folders_in(root)}
    trains, vals, tests = (
        [by_name[name] for name in names if name in by_name] for names in (TRAIN_NAMES, VAL_NAMES, TEST_NAMES)
    )
    if not (trains or vals or tests):
        return SplitFolders(root)
    if not (vals or tests):
        raise ValueError(
            f"'{root}' has {trains[0].name}/, but no val/, valid/ or test/ to validate on. To hold out a part of "
            f"{trains[0].name}/, open '{trains[0]}' instead; if it is a class, rename it.{layout}"
        )
    if not trains:
        only = (vals or tests)[0].name
        raise ValueError(f"'{root}' has {only}/, but no train/ to train on. If {only}/ is a class, rename it.{layout}")
    # A folder without class folders has no labels: the test/ of a contest is often such a folder.
    val = next((folder for folder in [*vals, *tests] if folders_in(folder)), (vals or tests)[0])
    classes = {folder.name for folder in folders_in(trains[0])}
    labelled = (folder for folder in tests if any(inner.name in classes for inner in folders_in(folder)))
    return SplitFolders(trains[0], val, next(labelled, None) if val in vals else None)


def folders_in(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def files_by_class(folder: Path | None, is_sample: Callable[[Path], bool] = lambda folder: False) -> FilesByClass:
    """All files of each class folder; nothing for a split that does not exist."""
    return {inner.name: sorted(files_below(inner, is_sample)) for inner in folders_in(folder)} if folder else {}


def files_below(folder: Path, is_sample: Callable[[Path], bool] = lambda folder: False) -> Iterator[Path]:
    """All files below a folder. Links are followed, but a link to a folder further up is followed only once.

    Args:
        folder: the folder.
        is_sample: which inner folders are one sample, such as the frames of a video, instead of holding files.
    """
    for place, folders, names in _walk(folder):
        inner = sorted(Path(place, name) for name in folders if not name.startswith("."))
        samples = [path for path in inner if is_sample(path)]
        folders[:] = [path.name for path in inner if path not in samples]
        yield from samples
        yield from (Path(place, name) for name in names if not name.startswith("."))


def hidden_below(root: Path) -> list[Path]:
    """Files and folders whose names start with a dot, which nothing here reads; such folders are not entered."""
    found: list[Path] = []
    for place, folders, names in _walk(root):
        found += (Path(place, name) for name in (*folders, *names) if name.startswith("."))
        folders[:] = (name for name in folders if not name.startswith("."))
    return sorted(found)


def loose_files(splits: SplitFolders, root: Path) -> list[Path]:
    """Files that lie in no class folder: in the root, or in the folder of a split."""
    places = {root, *(folder for folder in splits if folder)}
    files = (entry for place in places for entry in place.iterdir() if not entry.is_dir())
    return sorted(file for file in files if not file.name.startswith("."))


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """`os.walk` that follows links, a link to a folder further up only once; an unreadable folder raises."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        real = os.path.realpath(place)
        if real in seen:
            folders[:] = []
            continue
        seen.add(real)
        yield place, folders, names


def _raise(error: OSError) -> None:
    raise error  # By default os.walk skips a folder that cannot be read.
