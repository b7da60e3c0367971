"""A folder of numbered frames as one video: `img_00001.jpg`, `img_00002.jpg`, ... ("raw frames" of MMAction2).

The numbers may begin anywhere and must be consecutive. Frames of optical flow (`flow_x_`, `flow_y_`, `x_`, `y_`) in the
same folder are left out.
"""

import math
import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from wholeframe.data.images import read_image
from wholeframe.data.video.info import VideoError, VideoInfo
from wholeframe.data.video.region import Region
from wholeframe.messages import listed

FRAME = re.compile(r"(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.(?:jpe?g|png|bmp|webp|tiff?|ppm))", re.IGNORECASE)
FLOW = frozenset({"x_", "y_", "flow_x_", "flow_y_"})


def is_frames_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds numbered frames. The names alone are read."""
    return os.path.isdir(path) and bool(_numbered(Path(path)))


def frame_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The frames of a folder in the order of their numbers.

    Raises:
        VideoError: there are none, they are of several kinds, or a number is missing or occurs twice.
    """
    kinds = _numbered(Path(folder))
    if not kinds:
        raise VideoError(folder, "it is a folder without numbered frames such as 'img_00001.jpg'")
    if len(kinds) > 1:
        named = listed(f"'{files[0][1].name}'" for files in kinds.values())
        raise VideoError(folder, f"it is a folder with frames of several names, {named}; keep one kind in a folder")
    (files,) = kinds.values()
    for (before, file), (number, following) in pairwise(files):
        if number != before + 1:
            why = f"frame {number} is there twice" if number == before else f"frame {before + 1} is missing"
            raise VideoError(folder, f"{why}: '{file.name}' is followed by '{following.name}'")
    return [file for _, file in files]


def frames_info(folder: str | os.PathLike[str], rate: float | None) -> VideoInfo:
    """The length of a folder of frames, and the size of its first frame.

    Args:
        folder: the folder.
        rate: frames per second.

    Raises:
        VideoError: its frames cannot be used, or no rate is given.
        ValueError: the rate is not a positive number.
    """
    files = frame_files(folder)
    if rate is None:
        raise VideoError(folder, "it is a folder of frames, which stores no frame rate; give it, such as rate=25")
    if not (0 < rate < math.inf):
        raise ValueError(f"rate={rate} is not a number of frames per second; give a positive number, such as rate=25")
    height, width = _read(folder, files[0]).shape[-2:]
    count = len(files)
    return VideoInfo(Path(folder), count, float(rate), count / rate, height, width, last=(count - 1) / rate)


def read_folder(info: VideoInfo, times: Sequence[float], region: Region | None) -> Tensor:
    """The frames displayed at some times, `(t, 3, h, w)` uint8, each decoded once.

    Args:
        info: the `frames_info` of the folder.
        times: seconds from the first frame.
        region: the region to read of every frame; by default the whole frame.

    Raises:
        VideoError: a frame is gone or does not decode.
    """
    files = frame_files(info.path)
    if len(files) < info.frames:
        raise VideoError(info.path, f"it has {len(files)} frames, but had {info.frames}")
    # A time that is rounded down from the beginning of a frame is still within it.
    indices = [min(int(time * info.fps + 1e-6), info.frames - 1) for time in times]
    kept = {index: _prepared(info, files[index], region) for index in sorted(set(indices))}
    return torch.stack([kept[index] for index in indices])


def check_folder(info: VideoInfo) -> None:
    """Decode every frame of a folder; VideoError for the first that does not decode."""
    for file in frame_files(info.path):
        _read(info.path, file)


def _prepared(info: VideoInfo, file: Path, region: Region | None) -> Tensor:
    frame = _read(info.path, file)
    if frame.shape[-2:] != (info.height, info.width):  # As in a file whose size changes.
        frame = F.resize(frame, [info.height, info.width], antialias=True)
    return region.of(frame) if region else frame


def _read(folder: str | os.PathLike[str], file: Path) -> Tensor:
    try:
        return torch.from_numpy(np.array(read_image(file))).permute(2, 0, 1)
    except FileNotFoundError:
        raise VideoError(folder, f"its frame '{file.name}' is gone") from None
    except ValueError as error:
        raise VideoError(folder, f"its frame '{file.name}' does not decode: {error.__cause__ or error}") from error


def _numbered(folder: Path) -> dict[tuple[str, str], list[tuple[int, Path]]]:
    """The numbered images of a folder in order, by the part of the name before the number and the suffix."""
    kinds: dict[tuple[str, str], list[tuple[int, Path]]] = {}
    for file in folder.iterdir():
        match = FRAME.fullmatch(file.name)
        if match and match["prefix"].lower() not in FLOW and not file.name.startswith("."):
            kinds.setdefault((match["prefix"], match["suffix"].lower()), []).append((int(match["number"]), file))
    return {kind: sorted(files) for kind, files in sorted(kinds.items())}
