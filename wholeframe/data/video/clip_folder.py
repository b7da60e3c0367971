"""Open a folder of labelled videos: one folder per class, or a list.

folder = open_clips("actions")      # class folders, or a folder with a list
print(folder)                       # 66 train and 18 val clips of 9 classes (held out, ...); 1 skipped: ...
folder.train[0]                     # Segment(path, start, end, labels)
"""

import math
import os
from pathlib import Path

from wholeframe.data.splits import refuse_fraction
from wholeframe.data.video.csv_lists import read_lists
from wholeframe.data.video.from_folders import LAYOUT, clips_from_folders
from wholeframe.data.video.from_lists import clips_from_list
from wholeframe.data.video.list_text import TimeUnit
from wholeframe.data.video.segments import ClipFolder
from wholeframe.messages import in_quotes, listed, shown


def open_clips(
    root: str | os.PathLike[str],
    *,
    videos: str | os.PathLike[str] | None = None,
    unit: TimeUnit | None = None,
    rate: float | None = None,
    window: float | None = None,
    val_fraction: float | None = 0.2,
    seed: int = 0,
    strict: bool = False,
) -> ClipFolder:
    """Index labelled videos, checking every file once.

    The layout is the first of these that is found: a list of a known format (`csv_lists`); class folders; videos
    directly in the folder, each of them a class of its own. A file is a video by its content, whatever its suffix, and
    so is a folder of numbered frames.

    - Kinetics: the file of a line is `ID_START_END` with six digits each, which holds that part alone, or else `ID`.
      A file `ID` of at most 1.25 times the length of the part is taken for the part alone, a longer one for the whole
      video.
    - Charades: multi-label. A segment is a whole video, with the time of each action.
    - PySlowFast and MMAction2: a line is a path and a label; of a folder of frames also the number of frames.
    - Your own list: a line is a segment with one label, and the video is not divided into windows. With `window`:
      multi-label.

    The splits are those of the folders, of a column `split`, or of the names of the lists. `test` is filled only if
    there is a `val` as well; a `test` alone is validated on, and `describe()` says so. Without any of these a part is
    held out for validation: of every class folder a part of the clips, of a list a part of the videos (never parts of
    one video in both splits).

    Args:
        root: the folder, or the list.
        videos: the folder with the videos, if it is not the folder of the list.
        unit: the unit of the columns `start` and `end` of your own list.
        rate: frames per second of the folders of frames (`img_00001.jpg`, ...) for which a list gives none.
        window: divide every video of a list into parts of this many seconds (the last one up to twice as long), which
            have the labels of all lines that overlap with them; `math.inf` for the whole video.
        val_fraction: the part to hold out for validation if neither folders nor a list give the splits. None holds
            nothing out and leaves all in `train`, to evaluate data as a whole.
        seed: chooses the clips or videos to hold out.
        strict: raise for anything that cannot be read, instead of reporting it; every frame of every video is decoded
            to find out, so that any clip of any sampling can be read later.

    Returns:
        The segments of each split, and everything that was left out.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the layout is not known, a class has no clip, or, with `strict`, anything would be left out.
    """
    root = Path(root)
    if val_fraction is not None:
        refuse_fraction(val_fraction)
    if rate is not None and not 0 < rate < math.inf:
        raise ValueError(f"rate={rate} is not a number of frames per second; give a positive number, such as 25")
    if window is not None and not window > 0:
        raise ValueError(
            f"window={window} is not a length in seconds: it must be positive, such as 4; "
            "math.inf takes the whole video"
        )
    if not root.exists():
        raise FileNotFoundError(f"there is no folder or list '{root}'.{LAYOUT}")
    below = Path(videos) if videos is not None else root if root.is_dir() else root.parent
    video_list = read_lists(root, below, unit)
    if video_list:
        folder = clips_from_list(root, below, video_list, window, val_fraction, seed, rate, strict)
    elif window is not None:
        raise ValueError(
            f"window={window:g} divides the videos of a list, but '{root}' has no list; leave window out, or add a list"
        )
    else:
        folder = clips_from_folders(root, val_fraction, seed, rate, strict)
    if strict and (folder.problems or folder.missing):
        left_out = [*map(str, folder.problems), *(f"{name} (not there)" for name in in_quotes(folder.missing))]
        raise ValueError(
            f"'{shown(root)}' has {len(left_out)} that cannot be used: {listed(left_out)}. "
            "Repair or remove them, or leave them out with strict=False"
        )
    return folder
