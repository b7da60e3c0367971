"""The clips of class folders, or of a folder of videos that are a class each."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from wholeframe.data.class_folders import (
    FilesByClass,
    SplitFolders,
    expected_layout,
    files_by_class,
    find_splits,
    hidden_below,
    loose_files,
)
from wholeframe.data.splits import WHOLE, held_out, imbalance
from wholeframe.data.video.extensions import videos_among
from wholeframe.data.video.file import VideoInfo
from wholeframe.data.video.frames_folder import is_frames_folder
from wholeframe.data.video.infos import infos_of, relative_names, truncation_notes
from wholeframe.data.video.segments import ClipFolder, Segment, reasons
from wholeframe.messages import counted, listed, shown

LAYOUT = (
    expected_layout("mp4")
    + """
or a list in ROOT or in a folder above the videos, whose first line is one of these:
    video,start_frame,end_frame,label            (or start_time,end_time in seconds, or neither; split is optional)
    label,youtube_id,time_start,time_end,split   (Kinetics)
    id,...,actions,...                           (Charades)
or whose lines are a path and a label each (PySlowFast, MMAction2),
or videos directly in ROOT, each of them a class of its own, named after the file."""
)


def clips_from_folders(
    root: Path, fraction: float | None, seed: int, rate: float | None = None, every_frame: bool = False
) -> ClipFolder:
    """A segment for each file, with the class of its folder.

    Args:
        root: a folder of class folders, split or not, or a folder of videos.
        fraction: the part of each class to hold out for validation if the folder is not split; None holds out nothing.
        seed: chooses the files to hold out.
        rate: frames per second of the folders of frames.
        every_frame: decode every frame of every video, so that what can be read later is known now.
    """
    loose, others = videos_among(root.iterdir())
    if loose and not any(videos_among(files)[0] for files in _by_class(root).values()):
        return _a_class_each(root, loose, others, fraction is None, rate, every_frame)
    splits = find_splits(root, LAYOUT)
    train, val, test = (_by_class(folder) for folder in splits)
    if len(train) < (1 if fraction is None else 2):
        raise ValueError(
            f"'{shown(splits.train)}' has {counted(len(train), 'class folder')}, but needs at least two.{LAYOUT}"
        )
    for folder, files in ((splits.val, val), (splits.test, test)):
        if unknown := [name for name in files if name not in train]:
            raise ValueError(
                f"'{folder}' has class folders that are not among those to train on: {listed(map(repr, unknown))}. "
                "Remove or rename these folders, or add videos of their classes to train on"
            )
    clips, others = videos_among(chain(*train.values(), *val.values(), *test.values()))
    infos, problems = infos_of(root, clips, rate=rate, every_frame=every_frame)
    train, val, test = (_only(infos, files) for files in (train, val, test))
    if empty := [f"'{shown(splits.train / name)}'" for name, of_class in train.items() if not of_class]:
        why = f" Files that were left out: {listed(map(str, problems))}." if problems else ""
        raise ValueError(f"no video that can be used in {listed(empty)}.{why} Add videos, or remove the folder")
    if splits.val:
        unused = splits.unused(root)
        split, notes = str(splits), (*splits.notes, *([f"not read: {listed(map(shown, unused))}"] if unused else []))
    elif fraction is None:
        split, notes = WHOLE, ()
    else:
        train, val, notes = _hold_out(root, train, fraction, seed)
        split = f"val_fraction={fraction:g} of each class held out, seed={seed}"
    classes = tuple(train)
    segments = {name: _whole(files, classes, infos) for name, files in (("train", train), ("val", val), ("test", test))}
    labels = {name: [segment.labels[0] for segment in of_split] for name, of_split in segments.items()}
    unequal = imbalance(classes, labels)
    return ClipFolder(
        root=root,
        classes=classes,
        train=segments["train"],
        val=segments["val"],
        test=segments["test"],
        problems=problems,
        ignored=relative_names(root, others),
        overlooked=_overlooked(root, splits),
        notes=tuple(filter(None, (*notes, *truncation_notes(infos.values()), unequal))),
        split=split,
        lost=reasons(problems),
        divided=split != WHOLE,
    )


def _by_class(folder: Path | None) -> FilesByClass:
    """The files of each class folder; a folder of frames is one of them."""
    return files_by_class(folder, is_frames_folder)


def _overlooked(root: Path, splits: SplitFolders) -> tuple[tuple[str, str], ...]:
    """Videos outside the class folders, and hidden names, with the reason why they are not read."""
    loose, _ = videos_among(loose_files(splits, root))
    outside = ((name, "they lie outside the class folders") for name in relative_names(root, loose))
    hidden = ((name, "their names start with a dot") for name in relative_names(root, hidden_below(root)))
    return (*outside, *hidden)


def _a_class_each(
    root: Path, files: list[Path], others: list[Path], whole: bool, rate: float | None, every_frame: bool
) -> ClipFolder:
    infos, problems = infos_of(root, files, rate=rate, every_frame=every_frame)
    if not infos:
        raise ValueError(
            f"no video in '{shown(root)}' can be used: {listed(map(str, problems))}; repair or replace them"
        )
    stems = Counter(file.stem for file in infos)
    by_class = {(file.stem if stems[file.stem] == 1 else file.name): [file] for file in files if file in infos}
    clips = _whole(by_class, tuple(by_class), infos)
    return ClipFolder(
        root=root,
        classes=tuple(by_class),
        train=clips,
        val=() if whole else clips,
        problems=problems,
        ignored=relative_names(root, [file for file in others if file.is_file()]),
        overlooked=tuple((name, "their names start with a dot") for name in relative_names(root, hidden_below(root))),
        notes=truncation_notes(infos.values()),
        split=WHOLE if whole else "each file is a class of its own: trained and validated on the same clips",
        lost=reasons(problems),
        divided=not whole,
    )


def _only(infos: dict[Path, VideoInfo], files: FilesByClass) -> FilesByClass:
    return {name: [file for file in of_class if file in infos] for name, of_class in files.items()}


def _hold_out(
    root: Path, files: FilesByClass, fraction: float, seed: int
) -> tuple[FilesByClass, FilesByClass, tuple[str, ...]]:
    train, val, alone = {}, {}, []
    for name, of_class in files.items():
        if len(of_class) == 1:
            train[name] = val[name] = of_class
            alone.append(repr(name))
        else:
            chosen = held_out(root, of_class, fraction, seed)
            train[name] = [file for file in of_class if file not in chosen]
            val[name] = [file for file in of_class if file in chosen]
    return train, val, (f"trained and validated on the only clip of {listed(alone)}",) if alone else ()


def _whole(files: FilesByClass, classes: Sequence[str], infos: dict[Path, VideoInfo]) -> tuple[Segment, ...]:
    return tuple(
        Segment(file, labels=(label,), info=infos[file])
        for label, name in enumerate(classes)
        for file in files.get(name, ())
    )
