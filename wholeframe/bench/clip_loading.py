"""Measures how fast our loader delivers clips, compared with PyAV alone on the same frames."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import av
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wholeframe.data.video.crops import Crop, normalised, random_crop
from wholeframe.data.video.dataset import ClipDataset, frames_of
from wholeframe.data.video.file import video_info
from wholeframe.data.video.region import Region
from wholeframe.data.video.sampling import Sampling
from wholeframe.data.video.segments import ClipFolder

NOTHING = torch.empty(0, 0, 0)
CORNER = Crop(lambda height, width: Region(0, 0, 16, 16, (16, 16)), lambda frames: frames)


@dataclass
class Time:
    """Wall-clock seconds, and CPU seconds of all processes together."""

    wall: float = 0.0
    cpu: float = 0.0


@dataclass(frozen=True)
class Loading:
    """The time that each way of reading takes for the same clips.

    Attributes:
        clips: number of clips that each way reads.
        floats: our loader, and this process converts its batches to float32, as without an accelerator.
        whole: our loader: it decodes, scales and crops the frames into 8-bit batches.
        decoding: our loader without the steps after decoding; it keeps a corner of every frame.
        alone: PyAV alone (seek, decode, `to_ndarray`), in the same number of processes.
    """

    clips: int
    floats: Time
    whole: Time
    decoding: Time
    alone: Time


def measure(
    folder: ClipFolder, sampling: Sampling, *, size: int, clips: int, batch: int, workers: int, rounds: int = 3
) -> Loading:
    """Time all ways of reading in turns, on random clips of the training segments.

    Each way reads the same clips in the same order.

    Args:
        folder: the clips.
        sampling: number and stride of the frames.
        size: side of the crop, pixels.
        clips: number of clips per round.
        batch: number of clips per batch.
        workers: number of processes that decode.
        rounds: number of turns of each way.
    """
    whole = ClipDataset(folder, folder.train, sampling, random_crop(size)).__getitem__
    decoding = ClipDataset(folder, folder.train, sampling, CORNER).__getitem__

    def alone(index: int) -> Tensor:
        return by_pyav_alone(folder, sampling, index)

    ways: dict[str, tuple[Callable[[int], object], Callable[[Any], object]]] = {
        "floats": (whole, lambda batch: normalised(batch[0], "nonlocal")),
        "whole": (whole, lambda batch: None),
        "decoding": (decoding, lambda batch: None),
        "alone": (alone, lambda batch: None),
    }
    times = {name: Time() for name in ways}
    for _ in range(rounds):
        for name, (read, use) in ways.items():
            replay = Replay(read, len(folder.train), clips)
            _add(times[name], DataLoader(replay, batch_size=batch, num_workers=workers), use)
    return Loading(clips * rounds, **times)


class Replay(Dataset):
    """Repeats the items up to `length`; the index seeds the generator, so that each pass draws the same clips."""

    def __init__(self, read: Callable[[int], object], items: int, length: int):
        self.read, self.items, self.length = read, items, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> object:
        torch.manual_seed(index)
        return self.read(index % self.items)


def by_pyav_alone(folder: ClipFolder, sampling: Sampling, index: int) -> Tensor:
    """Read a random clip with PyAV only: seek, decode, and `to_ndarray` of the sampled frames."""
    segment = folder.train[index]
    info = segment.info or video_info(segment.path)
    first, total = frames_of(segment, info)
    begins = [info.start + (first + frame - 0.25) / info.fps for frame in sorted(set(sampling.random(total)))]
    with av.open(str(segment.path), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        if stream.time_base:
            container.seek(int(max(begins[0], 0) / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            if frame.time >= begins[0]:
                frame.to_ndarray(format="rgb24")
                while begins and begins[0] <= frame.time:
                    begins.pop(0)
                if not begins:
                    break
    return NOTHING


def _add(spent: Time, loader: DataLoader, use: Callable[[Any], object]) -> None:
    wall, cpu = time.perf_counter(), _cpu()
    for batch in loader:
        use(batch)
    spent.wall += time.perf_counter() - wall
    spent.cpu += _cpu() - cpu


def _cpu() -> float:
    """CPU seconds of this process and of its finished child processes."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
