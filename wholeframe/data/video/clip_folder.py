"""Videos with labels, as people have them: one folder per class, or a list.

folder = open_clips("actions")      # class folders, or a folder with a list
print(folder)                       # 66 train and 18 val clips of 9 classes (held out, ...); 1 skipped: ...
folder.train[0]                     # Segment(path, start, end, labels)
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from wholeframe.data.class_folders import FilesByClass, expected_layout, files_by_class, find_splits
from wholeframe.data.splits import held_out, refuse_fraction
from wholeframe.data.video.csv_lists import EXTENSIONS, Unit, read_table
from wholeframe.data.video.file import VideoInfo
from wholeframe.data.video.from_lists import from_table
from wholeframe.data.video.segments import ClipFolder, Segment, broken_off, probed, relative
from wholeframe.messages import counted, listed

LAYOUT = (
    expected_layout("mp4")
    + """
or a CSV list in ROOT, beside or above the videos, that begins with one of these lines:
    video,start_frame,end_frame,label            (or start_time,end_time in seconds, or neither; split if you like)
    label,youtube_id,time_start,time_end,split   (Kinetics)
    id,...,actions,...                           (Charades)
or videos directly in ROOT, each a class of its own by its name."""
)


def open_clips(
    root: str | os.PathLike[str],
    *,
    videos: str | os.PathLike[str] | None = None,
    unit: Unit | None = None,
    window: float | None = None,
    val_fraction: float = 0.2,
    seed: int = 0,
    strict: bool = False,
) -> ClipFolder:
    """Index videos with labels, looking once into every file.

    What is there decides the layout: a CSV list of a known kind (`data.tables`), or else class folders, or else videos
    side by side, of which each is a class of its own.

    - Kinetics: a file is looked for as `ID_START_END` with six digits each, which is the part alone, then as `ID`. The
      latter is the part alone if it is not longer than 1.25 times the part, and else the whole video.
    - Charades: multi-label; a segment is a whole video and knows when each action happens.
    - One's own list: a line is a segment with one label, and no window is cut; or with `window` multi-label.

    The splits are those of folders, of a column `split` or of the names of the lists. `test` is filled only where
    there is a `val` too; a `test` alone is validated on, and `describe()` says so. If nothing says which clips to
    validate on, a part is held out: of every class folder a part of the clips, of a list a part of the videos (never
    parts of one video on both sides).

    Args:
        root: the folder, or the list.
        videos: the folder with the videos, where it is not the folder of the list.
        unit: what `start` and `end` of one's own list count, where the names of the columns do not say.
        window: cut every video of a list into parts of this many seconds (the last one up to twice as long), which
            have the labels of all lines that overlap with them; `math.inf` for the whole video.
        val_fraction: the part to hold out for validation if nothing says which clips these are.
        seed: chooses what to hold out.
        strict: raise for anything that would be left out, instead of reporting it.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no layout that we know, a class without any clip, or, with `strict`, anything to leave out.
    """
    root = Path(root)
    refuse_fraction(val_fraction)
    if window is not None and not window > 0:
        raise ValueError(f"window={window} is no length in seconds; 4 is one, math.inf takes the whole video")
    if not root.exists():
        raise FileNotFoundError(f"there is no folder or list '{root}'.{LAYOUT}")
    below = Path(videos) if videos is not None else root if root.is_dir() else root.parent
    table = read_table(root, below, unit)
    if table:
        folder = from_table(root, below, table, window, val_fraction, seed)
    elif window is not None:
        raise ValueError(f"'{root}' has no list, and window={window:g} cuts the videos of a list only")
    else:
        folder = _from_folders(root, val_fraction, seed)
    if strict and (folder.problems or folder.missing):
        left_out = [*map(str, folder.problems), *(f"'{name}' (not there)" for name in folder.missing)]
        raise ValueError(
            f"'{root}' has {len(left_out)} that cannot be used: {listed(left_out)}. "
            "Repair or remove them, or leave them out with strict=False"
        )
    return folder


def _from_folders(root: Path, fraction: float, seed: int) -> ClipFolder:
    loose, others = _videos(root.iterdir())
    if loose and not any(_videos(files)[0] for files in files_by_class(root).values()):
        return _each_its_own(root, loose, others)
    splits = find_splits(root, LAYOUT)
    train, val, test = (files_by_class(folder) for folder in splits)
    if len(train) < 2:
        raise ValueError(f"'{splits.train}' has {counted(len(train), 'class folder')}, and it takes two.{LAYOUT}")
    for folder, files in ((splits.val, val), (splits.test, test)):
        if unknown := [name for name in files if name not in train]:
            raise ValueError(f"'{folder}' has classes that are not trained on: {listed(map(repr, unknown))}")
    clips, others = _videos(file for files in (train, val, test) for of_class in files.values() for file in of_class)
    infos, problems = probed(root, clips)
    train, val, test = (_only(infos, files) for files in (train, val, test))
    if empty := [f"'{splits.train / name}'" for name, of_class in train.items() if not of_class]:
        why = f" Files that were left out: {listed(map(str, problems))}." if problems else ""
        raise ValueError(f"no video that can be used in {listed(empty)}.{why} Add videos, or remove the folder")
    if splits.val:
        split, notes = str(splits), [splits.warning] if splits.warning else []
    else:
        train, val, notes = _hold_out(root, train, fraction, seed)
        split = f"val_fraction={fraction:g} of each class held out, seed={seed}"
    classes = tuple(train)
    return ClipFolder(
        root=root,
        classes=classes,
        train=_whole(train, classes, infos),
        val=_whole(val, classes, infos),
        test=_whole(test, classes, infos),
        problems=problems,
        ignored=relative(root, others),
        notes=(*notes, *broken_off(infos.values())),
        split=split,
    )


def _only(infos: dict[Path, VideoInfo], files: FilesByClass) -> FilesByClass:
    return {name: [file for file in of_class if file in infos] for name, of_class in files.items()}


def _each_its_own(root: Path, files: list[Path], others: list[Path]) -> ClipFolder:
    infos, problems = probed(root, files)
    by_class = {file.stem: [file] for file in files if file in infos}
    clips = _whole(by_class, tuple(by_class), infos)
    return ClipFolder(
        root=root,
        classes=tuple(by_class),
        train=clips,
        val=clips,
        problems=problems,
        ignored=relative(root, [file for file in others if file.is_file()]),
        notes=broken_off(infos.values()),
        split="each file a class of its own: trained and validated on the same clips",
    )


def _hold_out(
    root: Path, files: FilesByClass, fraction: float, seed: int
) -> tuple[FilesByClass, FilesByClass, list[str]]:
    train, val, alone = {}, {}, []
    for name, of_class in files.items():
        if len(of_class) == 1:
            train[name] = val[name] = of_class
            alone.append(repr(name))
        else:
            chosen = held_out(root, of_class, fraction, seed)
            train[name] = [file for file in of_class if file not in chosen]
            val[name] = [file for file in of_class if file in chosen]
    return train, val, [f"trained and validated on the only clip of {listed(alone)}"] if alone else []


def _whole(files: FilesByClass, classes: Sequence[str], infos: dict[Path, VideoInfo]) -> tuple[Segment, ...]:
    return tuple(
        Segment(file, labels=(label,), info=infos[file])
        for label, name in enumerate(classes)
        for file in files.get(name, ())
    )


def _videos(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The files whose names are those of videos, and the others."""
    videos: list[Path] = []
    others: list[Path] = []
    for file in sorted(files):
        if not file.name.startswith("."):
            (videos if file.suffix.lower() in EXTENSIONS and file.is_file() else others).append(file)
    return videos, others
