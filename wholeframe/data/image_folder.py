"""Open a folder of images with one folder per class.

folder = open_folder("photos")
print(folder)                   # 800 train and 250 val images of 10 classes (...); 2 files skipped: ...
train = ImageDataset(folder.train, transforms(224, train=True))
image, label = train[0]         # (3, 224, 224) float32, and an index into folder.classes
"""

import os
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

from wholeframe.data.class_folders import FilesByClass, expected_layout, files_by_class, find_splits, folders_in
from wholeframe.data.image_files import images_among, misnamed, overlooked, reasons_not_to_use
from wholeframe.data.splits import WHOLE, held_out, imbalance, refuse_fraction, sizes
from wholeframe.messages import counted, in_quotes, listed, shown

Items = tuple[tuple[Path, int], ...]
"""Files with their labels. A label is an index into `ImageFolder.classes`."""

LAYOUT = expected_layout("jpg")


@dataclass(frozen=True)
class BrokenImage:
    """A file with the extension of an image that does not decode. `path` is relative to the root of the folder."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"'{shown(self.path.as_posix())}' is not an image that can be decoded ({shown(self.reason)})"


@dataclass(frozen=True)
class ImageFolder:
    """The images that `open_folder` found in each split, and everything that it left out.

    Attributes:
        root: the folder that was opened.
        classes: the names of the class folders, sorted as strings ("10" before "2", as in torchvision).
        train: the files to train on with their labels, sorted by class, then by path.
        val: the files to validate on while training, likewise.
        test: the files for the final test, likewise; empty unless the folder has train/, val/ and test/.
        problems: the files that were left out because they do not decode.
        not_images: the files in class folders whose suffix and content are not those of an image, relative to the root.
        overlooked: images that lie in no class folder, and names that start with a dot, relative to the root.
        unused: folders next to train/ and val/ that were not read, such as a test/ without labels.
        split: how the splits were made, in a few words.
        notes: what to keep in mind about the splits.
        divided: whether there are splits; if not, `train` holds everything.
    """

    root: Path
    classes: tuple[str, ...]
    train: Items = field(repr=False)
    val: Items = field(repr=False)
    test: Items = field(default=(), repr=False)
    problems: tuple[BrokenImage, ...] = ()
    not_images: tuple[Path, ...] = ()
    overlooked: tuple[tuple[Path, str], ...] = ()
    unused: tuple[str, ...] = ()
    split: str = ""
    notes: tuple[str, ...] = ()
    divided: bool = True

    @property
    def all(self) -> Items:
        """The files of all splits."""
        return (*self.train, *self.val, *self.test)

    def left_out(self) -> list[tuple[str, str]]:
        """Every file that is not used, relative to the root, with the reason."""
        return [
            *((problem.path.as_posix(), problem.reason) for problem in self.problems),
            *((path.as_posix(), "it is not an image") for path in self.not_images),
            *((path.as_posix(), why) for path, why in self.overlooked),
            *((name, "it is not the folder of a split") for name in self.unused),
        ]

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """The sizes of the splits, and everything that was left out, in one sentence."""
        count = sizes(self.train, self.val, self.test) if self.divided else str(len(self.train))
        parts = [f"{count} images of {len(self.classes)} classes ({self.split})"]
        if self.problems:
            parts.append(f"{counted(len(self.problems), 'file')} skipped: {listed(map(str, self.problems))}")
        if self.not_images:
            kinds = sorted({path.suffix.lower() or "no extension" for path in self.not_images})
            parts.append(f"{counted(len(self.not_images), 'file')} ignored as not images: {listed(map(shown, kinds))}")
        for name, items in (("val", self.val), ("test", self.test)):
            present = {label for _, label in items}
            absent = [repr(each) for label, each in enumerate(self.classes) if label not in present]
            if items and absent:
                parts.append(f"no {name} image of {listed(absent)}")
        if self.unused:
            parts.append(f"not read: {listed(map(shown, self.unused))}")
        for why, paths in groupby(self.overlooked, key=itemgetter(1)):
            parts.append(f"not read, since {why}: {listed(in_quotes(path.as_posix() for path, _ in paths))}")
        return "; ".join([*parts, *self.notes])


def open_folder(
    root: str | os.PathLike[str], *, val_fraction: float | None = 0.2, seed: int = 0, strict: bool = False
) -> ImageFolder:
    """Index a folder of class folders, decoding every image once.

    The folder is either split already or not. Split: `ROOT/train/<class>/...` and `ROOT/val/<class>/...` (or valid/,
    validation/; names in any case of letters), and for a final test also `ROOT/test/<class>/...`. With train/ and
    test/ only, test/ is validated on, and `describe()` says so. Not split: `ROOT/<class>/...`. Folders below a class
    belong to it. A file is an image if it has the suffix of one, or the content, whatever its suffix. Names that start
    with a dot, and files outside the class folders, are not read, and `describe()` names them.

    Args:
        root: the folder.
        val_fraction: the part of every class to hold out for validation, at least one image and never all.
            Which ones depends on `seed` and their paths below the root only, so a new image moves at most
            one other. Not used if the folder is split already. None holds nothing out and leaves all in `train`,
            to evaluate a folder as a whole.
        seed: chooses the images to hold out.
        strict: raise for a file that does not decode, instead of leaving it out and reporting it.

    Returns:
        The files of each split with their labels, and everything that was left out.

    Raises:
        FileNotFoundError: there is no such folder.
        NotADirectoryError: `root` is a file.
        ValueError: the folder has another layout, a class has no image, a class is missing in train/, or, with
            `strict`, a file does not decode.
    """
    root = Path(root)
    if val_fraction is not None:
        refuse_fraction(val_fraction)
    splits = find_splits(root, LAYOUT)
    train, val, test = (files_by_class(folder) for folder in splits)
    classes = tuple(train)
    _refuse_classes(splits.train, train, least=1 if val_fraction is None else 2)
    if splits.val:
        _refuse_other_classes(splits.val, val, classes)
    if splits.test:
        _refuse_other_classes(splits.test, test, classes)

    images, not_images = images_among(chain(*train.values(), *val.values(), *test.values()))
    if not images:
        raise ValueError(f"'{root}' has class folders, but no image in any of them.{LAYOUT}")
    reasons = reasons_not_to_use(images)
    problems = tuple(BrokenImage(path.relative_to(root), reason) for path, reason in reasons.items())
    if strict:
        _refuse_problems(root, problems)

    usable = set(images) - reasons.keys()
    train, val, test = _only(usable, train), _only(usable, val), _only(usable, test)
    for folder, files in zip(splits, (train, val, test), strict=True):
        if folder:
            _refuse_empty_classes(folder, files, problems)
    if splits.val:
        split = str(splits)
    elif val_fraction is None:
        split = WHOLE
    else:
        train, val = _hold_out(root, train, val_fraction, seed)
        split = f"val_fraction={val_fraction:g} of each class held out, seed={seed}"

    items = {"train": _labelled(train, classes), "val": _labelled(val, classes), "test": _labelled(test, classes)}
    unequal = imbalance(classes, {name: [label for _, label in of_split] for name, of_split in items.items()})
    return ImageFolder(
        root=root,
        classes=classes,
        **items,
        problems=problems,
        not_images=tuple(file.relative_to(root) for file in not_images),
        overlooked=overlooked(root, splits),
        unused=splits.unused(root),
        split=split,
        notes=tuple(filter(None, (*splits.notes, misnamed(usable), unequal))),
        divided=split != WHOLE,
    )


# --------------------------------------------------------------------------------------- the splits


def _only(usable: set[Path], files: FilesByClass) -> FilesByClass:
    return {name: [file for file in of_class if file in usable] for name, of_class in files.items()}


def _hold_out(root: Path, files: FilesByClass, fraction: float, seed: int) -> tuple[FilesByClass, FilesByClass]:
    train: FilesByClass = {}
    val: FilesByClass = {}
    for name, of_class in files.items():
        if len(of_class) < 2:
            raise ValueError(
                f"class '{name}' has one image, '{of_class[0]}', but training and validation need one each. "
                "Add images, or split the folder yourself into train/ and val/"
            )
        chosen = held_out(root, of_class, fraction, seed)
        train[name] = [file for file in of_class if file not in chosen]
        val[name] = [file for file in of_class if file in chosen]
    return train, val


def _labelled(files: FilesByClass, classes: tuple[str, ...]) -> Items:
    return tuple((file, label) for label, name in enumerate(classes) for file in files.get(name, ()))


# --------------------------------------------------------------------------------------------- errors


def _refuse_classes(folder: Path, files: FilesByClass, least: int) -> None:
    if not files:
        loose, _ = images_among(folder.iterdir())
        found = f"{counted(len(loose), 'image')} directly in it" if loose else "no images either"
        raise ValueError(f"'{folder}' has no class folders, and {found}.{LAYOUT}")
    if len(files) == 1:
        (only,) = files
        inner = [each.name for each in folders_in(folder / only)]
        if least == 1 and not inner:
            return
        hint = f" Did you mean '{folder / only}', which has {listed(map(repr, inner))}?" if inner else ""
        raise ValueError(f"'{folder}' has one class folder, '{only}', but needs at least two.{hint}{LAYOUT}")


def _refuse_other_classes(folder: Path, files: FilesByClass, classes: tuple[str, ...]) -> None:
    if not files:
        raise ValueError(f"'{folder}' has no class folders.{LAYOUT}")
    unknown = [name for name in files if name not in classes]
    if unknown:
        raise ValueError(
            f"'{folder}' has class folders that are not among those to train on: "
            f"{listed(map(repr, unknown))}. Those to train on are {listed(map(repr, classes))}. "
            "Remove or rename these folders, or add images of their classes to train on"
        )


def _refuse_problems(root: Path, problems: tuple[BrokenImage, ...]) -> None:
    if problems:
        raise ValueError(
            f"'{root}' has {counted(len(problems), 'file')} that cannot be used: "
            f"{listed(map(str, problems))}. Repair or remove them, or leave them out with strict=False"
        )


def _refuse_empty_classes(folder: Path, usable: FilesByClass, problems: tuple[BrokenImage, ...]) -> None:
    empty = [f"'{folder / name}'" for name in usable if not usable[name]]
    if empty:
        why = f" Files that were left out: {listed(map(str, problems))}." if problems else ""
        raise ValueError(
            f"no image that can be used in {listed(empty)}.{why} Add images to the class folder, or remove it"
        )
