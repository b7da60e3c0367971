"""A file of `wf.save` where a command takes a run: its network, its classes, and how a photograph or a clip is read."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from wholeframe.data.images import MEAN, STD, transforms, whole_image
from wholeframe.data.video.crops import COLOURS, Colours
from wholeframe.data.video.sampling import Sampling
from wholeframe.messages import quoted, shown
from wholeframe.models.origin import origin_of
from wholeframe.models.zoo import MODELS
from wholeframe.store.header import Header
from wholeframe.store.load import load
from wholeframe.store.read import is_network_file, read_header
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.inputs.images import Images
from wholeframe.train.inputs.objects import Objects
from wholeframe.train.tasks import Task
from wholeframe.train.tasks.classification import Classification
from wholeframe.train.tasks.detection import Detection

Spec = Images | Clips | Objects
COVERED = 64
"""frames of the video that published clips cover: 32x2, 8x8, 4x16"""


@dataclass(frozen=True)
class FileImages(Images):
    """How images are fed to the network of a file, with its own normalisation."""

    mean: tuple[float, ...] = MEAN
    """of red, green and blue in [0, 1]"""
    std: tuple[float, ...] = STD
    """of red, green and blue in [0, 1]"""

    def testing(self) -> Callable[..., Tensor]:
        return transforms(self.size, train=False, shorter=self.shorter, mean=self.mean, std=self.std)

    def whole(self) -> Callable[..., Tensor]:
        return whole_image(self.size, self.mean, self.std)


@dataclass(frozen=True)
class NetworkFile:
    """What a file of `wf.save` has for a command: the network in eval mode, its classes and its input."""

    network: nn.Module
    classes: tuple[str, ...]
    spec: Spec

    @property
    def task(self) -> Task:
        """What an evaluation scores: one class per sample, or what the detector predicts of an object."""
        if not isinstance(self.spec, Objects):
            return Classification()
        heads = getattr(self.network, "roi_heads", None)
        if getattr(heads, "keypoint_predictor", None) is not None:
            return Detection("keypoints")
        return Detection("masks" if getattr(heads, "mask_predictor", None) is not None else "boxes")


def holds_network(path: str | Path) -> bool:
    """Whether a path is a file of `wf.save`, damaged or not."""
    return is_network_file(path)


def of_detector(path: str | Path) -> bool:
    """Whether a file of `wf.save` has a detector. ValueError for a damaged file."""
    return read_header(path).kind == "detector"


def open_network(path: str | Path, weights: str | None = None) -> NetworkFile:
    """Load the network of a file, and say how it is fed.

    Args:
        path: a file of `wf.save`.
        weights: what `--weights` gives, which such a file has itself.

    Raises:
        ValueError: the file is damaged, its backbone has no name, `weights` is given, or it takes neither images nor
            clips.
    """
    if weights is not None:
        raise ValueError(f"'{shown(path)}' has weights itself; leave --weights {shown(weights)} out")
    network = in_float32(load(path), path)
    header = read_header(path)
    count = (header.num_classes or 0) - (header.kind == "detector")
    return NetworkFile(network, header.classes or named(count, header.kind == "detector"), spec_of(header, path))


def in_float32(network: nn.Module, path: str | Path) -> nn.Module:
    """The network in the dtype of photographs and clips; weights of another dtype are said to be converted."""
    other = {str(t.dtype).removeprefix("torch.") for t in network.state_dict().values() if t.is_floating_point()}
    if other - {"float32"}:
        print(
            f"wholeframe: '{shown(path)}' has weights of {' and '.join(sorted(other))}, and is computed in float32",
            file=sys.stderr,
            flush=True,
        )
        network.float()
    return network


def named(count: int, detects: bool) -> tuple[str, ...]:
    """Names for classes without names; those of a detector begin at 1, because 0 is its background."""
    return tuple(f"class {k + detects}" for k in range(count))


def spec_of(header: Header, path: str | Path) -> Spec:
    """How the network of a header takes a file. ValueError for one that takes neither images nor clips."""
    if header.kind == "detector":
        return Objects()
    size = list(header.input or ())
    if {"image": 3, "clip": 4}.get(header.kind) != len(size) or size[0] != 3:
        raise ValueError(
            f"the network in '{shown(path)}' takes samples of {' x '.join(map(str, size))} numbers, and a photograph "
            "has 3 channels and two sides; load it with wf.load and give it tensors"
        )
    if header.kind == "image":
        return FileImages(
            size=size[-1], shorter=header.shorter, mean=tuple(header.mean or MEAN), std=tuple(header.std or STD)
        )
    sampling = Sampling(size[1], header.stride or _stride(header, size[1]))
    return Clips(sampling, size=size[-1], colours=_colours(header, path))


def header_of_run(network: nn.Module, data: object, classes: Sequence[str]) -> Header:
    """What a run says of the input of its network, for `wf.save`."""
    usual = Header(origin_of(network), type(network).__name__, classes=tuple(classes))
    if isinstance(data, Clips):
        mean, std = COLOURS[data.colours]
        size = (3, data.sampling.frames, data.size, data.size)
        return replace(usual, input=size, mean=tuple(mean), std=tuple(std), stride=data.sampling.stride)
    if isinstance(data, Images):
        return replace(usual, input=(3, data.size, data.size), mean=MEAN, std=STD, shorter=data.shorter)
    return usual


def _stride(header: Header, frames: int) -> int:
    """The stride of a clip that the header does not have: that in the network's name, or what covers 64 frames."""
    from wholeframe.train.predict import clips_of  # here, because that module imports this one

    name = header.origin.name if header.origin else ""
    if name in MODELS and MODELS[name].input[1:2] == (frames,):
        return clips_of(name).sampling.stride
    return max(COVERED // frames, 1)


def _colours(header: Header, path: str | Path) -> Colours:
    """The normalisation of clips by its name."""
    if header.mean is None or header.std is None:
        of_torchvision = header.origin is not None and header.origin.library == "torchvision"
        mmaction = header.origin is not None and header.origin.name.endswith("mmaction2")
        return "torchvision" if of_torchvision or mmaction else "nonlocal"
    for name, (mean, std) in COLOURS.items():
        if (tuple(mean), tuple(std)) == (header.mean, header.std):
            return name
    raise ValueError(
        f"the clips of '{shown(path)}' are normalised by mean {header.mean} and std {header.std}, and clips are read "
        f"with the values of {quoted(COLOURS)}; load it with wf.load and give it tensors"
    )
