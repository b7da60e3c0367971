"""Clips of videos, as a value of the recipe. `inputs.videos` opens them, and is imported only then: it needs PyAV."""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar

import torch
import tyro
from torch import Tensor, nn
from torch.utils.data import default_collate

from wholeframe.data.images import refuse_randaugment
from wholeframe.data.video.crops import Colours, normalised
from wholeframe.data.video.list_text import TimeUnit
from wholeframe.data.video.sampling import Sampling
from wholeframe.data.video.views import PUBLISHED, Views, read_views
from wholeframe.train.inputs.unread import TOLERATED, refuse_tolerance
from wholeframe.train.limits import at_least, between
from wholeframe.train.tasks import Task

AT_ONCE = 8  # Views in one forward pass: all 30 views of a video may not fit into memory together.


@dataclass(frozen=True)
class ClipLocation:
    """A folder of videos, or a list of them."""

    path: Annotated[Path, tyro.conf.arg(name="data", metavar="DIR")]
    """folder of the videos: class folders, or a folder with a CSV list, or the list itself"""
    strict: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """raise an error for a file that does not decode, instead of naming it and leaving it out"""
    tolerate: float = TOLERATED
    """training: largest fraction of the clips that may be unreadable; above it no training starts"""
    videos: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """folder of the videos of a list, if it is not the folder of the list"""
    unit: TimeUnit | None = None
    """unit of the times in a list, if its column names do not give it"""
    rate: float | None = None
    """frames per second of folders of frames (img_00001.jpg, ...), if a list does not give them"""

    def __post_init__(self):
        refuse_tolerance(self.tolerate)


@dataclass(frozen=True)
class Clips:
    """How clips of videos are fed to the network. The folder, or the list, is not part of a recipe."""

    location: ClassVar[type] = ClipLocation
    noun: ClassVar[str] = "clips"
    backbone: ClassVar[str] = "c2d_r50"

    sampling: Sampling = field(default_factory=Sampling)
    """which frames of a video make a clip"""
    size: int = 224
    """side of the square clips, pixels; the shorter side of a frame is 8/7 to 10/7 of it (256 to 320 for 224)"""
    colours: Colours = "nonlocal"
    """mean and standard deviation of the normalisation: those of the released Caffe2 code, or of torchvision"""
    window: float | None = None
    """seconds: cut the videos of a list into parts of this length, each with all labels of its time; inf for whole
    videos; None for one clip with one label per line of the list"""
    batch: int = 64
    """clips per step, over all devices"""
    flip: bool = True
    """mirror half of the training clips; turn off where left and right differ in meaning"""
    val_fraction: float = 0.2
    """fraction held out for validation if neither folders nor the list define the splits"""
    workers: int = 2
    """processes that decode videos; 0 decodes in the training process"""
    randaugment: int = 0
    """training: random operations on every clip, the same for all its frames (RandAugment); 0 for none, 2 is usual"""
    magnitude: int = 9
    """training: strength of these operations, 0 to 30"""

    def __post_init__(self):
        at_least("size", self.size, 1, 224)
        at_least("batch", self.batch, 1, 8)
        at_least("workers", self.workers, 0, 2)
        between("val_fraction", self.val_fraction, 0, 1, 0.2)
        refuse_randaugment(self.randaugment, self.magnitude)
        if self.window is not None and not self.window > 0:
            raise ValueError(f"window must be a positive number of seconds, got {self.window} (inf for whole videos)")

    def example(self) -> Tensor:
        return torch.randn(1, 3, self.sampling.frames, self.size, self.size)

    def collate(self, items: list[Any]) -> Any:
        return default_collate(items)

    def to_input(self, samples: Tensor) -> Tensor:
        """Normalise 8-bit clips on their device: they travel there as bytes, a quarter of the size of floats."""
        return normalised(samples, self.colours)

    def outputs(self, network: nn.Module, samples: Tensor) -> Tensor:
        """The output for every view of `(b, v, 3, t, h, w)`: `(b, v, k)`, or `(b, v, k, y, x)` in windows.

        A view may be larger than the `size` of training. A network that has a method `windows` is fully convolutional
        and evaluates every window of that size in the view (Wang et al., CVPR 2018, and their released code).
        """
        device = next(network.parameters()).device
        windows = getattr(network, "windows", None)
        forward = partial(windows, side=math.ceil(self.size / 32)) if windows else network
        parts = samples.flatten(0, 1).split(AT_ONCE)
        each = torch.cat([forward(self.to_input(part.to(device))) for part in parts])
        return each.unflatten(0, samples.shape[:2])

    def test_views(self, text: str | None) -> Views:
        """`10x3` as in the released code, unless `text` selects other views."""
        return PUBLISHED if text is None else read_views(text)

    def reader(self, views: Views | None) -> Callable[[Path], Tensor]:
        return _videos().reader(self, views or PUBLISHED)

    def open(self, location: ClipLocation, task: Task, seed: int, whole: bool = False) -> Any:
        """Index a folder of videos, or a list.

        Args:
            location: the folder or the list.
            task: the training task; its `labels` must be those of the folder.
            seed: chooses the videos that are held out where nothing else defines the splits.
            whole: hold nothing out where nothing else defines the splits.

        Returns:
            `wholeframe.train.inputs.videos.VideoInputs`.

        Raises:
            ValueError: the folder has another layout, other labels than the task, or PyAV is not installed.
        """
        return _videos().open_videos(self, location, task, seed, whole)


def _videos() -> ModuleType:
    try:
        importlib.import_module("av")
    except ImportError as error:
        raise ValueError(
            f"videos are decoded by PyAV, which is not installed ({error}): pip install 'wholeframe[video]'"
        ) from error
    return importlib.import_module("wholeframe.train.inputs.videos")
