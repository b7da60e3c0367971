"""The length and the size of a video, and the error for a file that is not one."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from wholeframe.messages import listed

Clock = Literal["pts", "dts", "count"]
"""Which time of a frame counts.

`pts`: when it is displayed, which most containers store. `dts`: when it is decoded, which AVI stores. `count`: the file
has no times, or they are not those of display; its frames are counted from the beginning, at a constant rate.
"""


class VideoError(ValueError):
    """A file is not a video that can be decoded. The message gives the path and the reason."""

    def __init__(self, path: str | os.PathLike[str], reason: str):
        super().__init__(f"'{os.fspath(path)}' is not a video that can be decoded ({reason})")
        self.path, self.reason = Path(path), reason

    def __reduce__(self):
        return type(self), (self.path, self.reason)  # So that worker processes can send it to the main process.


@dataclass(frozen=True)
class VideoInfo:
    """The length and the size of a video file, or of a folder of frames.

    Attributes:
        path: the file, or the folder.
        frames: the number of frames, `seconds * fps` rounded.
        fps: frames per second, on average.
        seconds: from the first frame to the end of the last frame in the file.
        height: rows of the image as it is displayed.
        width: columns of the image as it is displayed.
        rotation: degrees counter-clockwise from the stored to the displayed image.
        start: the time of the first frame on the clock of the file, in seconds.
        lost: seconds that the header announces and the file does not hold (a broken download), or 0.
        last: from the first frame to the beginning of the last frame, in seconds.
        clock: which time of a frame counts, see `Clock`.
        shown: when each frame is displayed, in seconds, if frames are counted and do not have a constant rate.
        keys: the times of the key frames, on the clock of the file in seconds, of a stream whose times are guessed
            after a seek; otherwise None.
    """

    path: Path
    frames: int
    fps: float
    seconds: float
    height: int
    width: int
    rotation: int = 0
    start: float = 0.0
    lost: float = 0.0
    last: float = 0.0
    clock: Clock = "pts"
    shown: tuple[float, ...] = field(default=(), repr=False)
    keys: frozenset[float] | None = field(default=None, repr=False)

    def times(self, indices: Sequence[int]) -> list[float]:
        """The middle of the time that each frame is displayed, in seconds from the first frame."""
        wrong = [index for index in indices if not 0 <= index < self.frames]
        if wrong:
            raise ValueError(f"'{self.path}' has frames 0 to {self.frames - 1}, but not {listed(map(str, wrong))}")
        return [(index + 0.5) / self.fps for index in indices]
