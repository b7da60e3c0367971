"""Folders of class folders, as people have them: where the classes are, and the files of each."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

FilesByClass = dict[str, list[Path]]

TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")  # the first that holds class folders is taken


def layout(extension: str) -> str:
    """The end of a sentence about a folder that looks otherwise."""
    return f"""
Expected one folder per class, either split already, or not:
    ROOT/train/cat/1.{extension}        ROOT/cat/1.{extension}
    ROOT/train/dog/2.{extension}        ROOT/cat/2.{extension}
    ROOT/test/cat/3.{extension}         ROOT/dog/3.{extension}
    ROOT/test/dog/4.{extension}         ROOT/dog/4.{extension}
(test/ may also be called val/ or valid/.)"""


def places(root: Path, expected: str) -> tuple[Path, Path | None]:
    """Where the class folders to train on are, and those to test on, if the folder is split already."""
    if not root.exists():
        raise FileNotFoundError(f"there is no folder '{root}'.{expected}")
    if not root.is_dir():
        raise NotADirectoryError(f"'{root}' is a file, not a folder of class folders.{expected}")
    by_name = {place.name.lower(): place for place in folders_in(root)}
    trains = [by_name[name] for name in TRAIN_NAMES if name in by_name]
    tests = [by_name[name] for name in TEST_NAMES if name in by_name]
    if not trains and not tests:
        return root, None
    if not tests:
        raise ValueError(
            f"'{root}' has {trains[0].name}/, but no test/, val/ or valid/ to test on. To hold out a part of "
            f"{trains[0].name}/, open '{trains[0]}' instead; if it is a class, rename it.{expected}"
        )
    if not trains:
        raise ValueError(
            f"'{root}' has {tests[0].name}/, but no train/ to train on. "
            f"If {tests[0].name}/ is a class, rename it.{expected}"
        )
    # An unlabelled test/ (a contest's) beside a labelled val/ is usual.
    return trains[0], next((place for place in tests if folders_in(place)), tests[0])


def folders_in(place: Path) -> list[Path]:
    return sorted(entry for entry in place.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def files_by_class(place: Path) -> FilesByClass:
    return {folder.name: sorted(files_below(folder)) for folder in folders_in(place)}


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder, through links too; a link back to a folder above is not followed again."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            yield from (Path(place, name) for name in names if not name.startswith("."))
        seen.add(real)


def _raise(error: OSError) -> None:
    raise error  # os.walk would pass over a folder it may not read


def held_out(root: Path, files: Sequence[Path], fraction: float, seed: int) -> set[Path]:
    """The part of two or more files to test on: one at least and never all, chosen by `seed` and their paths alone."""

    def rank(file: Path) -> bytes:
        return hashlib.sha256(f"{seed}:{file.relative_to(root).as_posix()}".encode()).digest()

    count = min(max(round(fraction * len(files)), 1), len(files) - 1)
    return set(sorted(files, key=rank)[:count])
