"""The inputs of a network from the files of a folder: some of them, chosen by a seed, and those that cannot be read."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wholeframe.data.image_files import images_among
from wholeframe.messages import counted, listed, shown
from wholeframe.train.named_files import files_among
from wholeframe.train.opened import Opened


@dataclass
class Sampled:
    """Reads chosen files one after the other, as often as it is iterated.

    Args:
        opened: the network.
        files: the chosen ones.
        lost: why files could not be read, after the first pass.
    """

    opened: Opened
    files: list[Path]
    lost: dict[Path, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Any]:
        for file in self.files:
            if file in self.lost:
                continue
            try:
                given = self.opened.read(file)
            except (ValueError, OSError) as error:
                self.lost[file] = str(error)
                continue
            yield given.x
        if len(self.lost) == len(self.files):
            raise ValueError(listed(self.lost.values(), between="; "))

    def notes(self) -> list[str]:
        """What was left out, in a sentence."""
        if not self.lost:
            return []
        return [f"{len(self.lost)} of {counted(len(self.files), 'file')} left out: {listed(self.lost.values())}"]


def sampled(opened: Opened, data: Path, count: int, seed: int) -> Sampled:
    """Choose files of a folder (or a list of files), and print which.

    Args:
        opened: the network, which says whether the files are images or videos.
        data: the folder.
        count: the largest number of files.
        seed: of the choice.
    """
    noun = "video" if opened.kind == "clip" else "image"
    if noun == "video":
        from wholeframe.data.video.extensions import is_video, videos_among  # PyAV is an optional extra.

        files, _ = files_among([data], videos_among, noun, whole=is_video)
    else:
        files, _ = files_among([data], images_among, noun)
    chosen = sorted(random.Random(seed).sample(files, count)) if count < len(files) else files
    part = f" of {len(files)} (chosen with seed {seed})" if len(chosen) < len(files) else ""
    clips = ", one clip of each, from its middle" if noun == "video" else ""
    print(f"'{shown(data)}': {counted(len(chosen), noun)}{part}{clips}")
    return Sampled(opened, chosen)
