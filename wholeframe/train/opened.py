"""A network from whatever a command is given as MODEL, and how a file becomes its input.

MODEL is a run folder, a checkpoint in a run folder, a file of `wf.save`, or the name of a network; a name takes its
weights from a file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

from wholeframe.data.images import MEAN, STD, read_image
from wholeframe.data.video.crops import fixed_crops, normalised
from wholeframe.data.video.sampling import Sampling
from wholeframe.explain.found import refuse_thin
from wholeframe.messages import did_you_mean, shown
from wholeframe.models.build import BACKBONES, create_backbone
from wholeframe.models.zoo import MODELS, create_model
from wholeframe.surgery.classifier import classifier
from wholeframe.surgery.placement import in_block
from wholeframe.surgery.restore import restore
from wholeframe.train.initial_weights import state_of
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.inputs.images import Images
from wholeframe.train.inputs.objects import Objects
from wholeframe.train.network_file import holds_network, open_network
from wholeframe.train.predict import IMAGENET, Predictor, clips_of, of_model
from wholeframe.train.predict_objects import as_input, is_detector, objects_of_model
from wholeframe.train.run import Run

Kind = Literal["image", "clip", "detector"]

LONGEST = 16
"""the most that a photograph may be longer than wide, because its shorter side is scaled up"""


class Given(NamedTuple):
    """A file as the input of a network.

    `x` is the argument of the network: `(1, 3, h, w)`, `(1, 3, t, h, w)`, or `[image]` for a detector. `picture` is
    what a reader looks at, 8-bit: the photograph `(h', w', 3)`, or the frames `(t, h, w, 3)` of the clip. `note` says
    in a sentence which part of the photograph it is; None for the whole.
    """

    x: Any
    picture: np.ndarray
    note: str | None = None

    @property
    def factors(self) -> tuple[float, ...]:
        """Pixels of `picture` per pixel of the input along every axis, for `Attention.scaled`."""
        tensor: Tensor = self.x[0]
        return tuple(old / new for old, new in zip(self.picture.shape[:-1], tensor.shape[1:], strict=True))

    def query(self, pixel: Sequence[int]) -> tuple[int, ...]:
        """The pixel of the input at a pixel of `picture`."""
        return tuple(int((at + 0.5) / factor) for at, factor in zip(pixel, self.factors, strict=True))


@dataclass(frozen=True)
class Opened:
    """A network in eval mode, on the CPU, and how it takes a file.

    Args:
        name: what was given.
        network: the network.
        kind: of its input.
        read: from a file to its input; ValueError for one that does not decode.
        classes: the names of its classes, where they are known.
        untrained: a sentence if the weights are random; None if they are trained.
    """

    name: str
    network: nn.Module
    kind: Kind
    read: Callable[[Path], Given]
    classes: Sequence[str] | None = None
    untrained: str | None = None


def open_model(text: str, weights: str | None = None) -> Opened:
    """Open what a command is given as MODEL.

        open_model("runs/digits").network

    Args:
        text: a run folder of `wholeframe train`, a checkpoint in one, a file of `wf.save`, a network of `wholeframe
            models`, torchvision/NAME or timm/NAME.
        weights: of a run, `"last"` (default) or `"best"`; of a name, a file of weights or a run folder, or `"DEFAULT"`
            or another name for those of its library. A file that `torch.save` made of a network with inserted blocks
            has a record of them, and they are inserted again. None leaves the weights of a name random, and
            `untrained` says so.

    Raises:
        ValueError: the path is not a run or a checkpoint of one, the name is unknown, or the weights do not fit.
    """
    path = Path(text)
    if holds_network(path):
        file = open_network(path, weights)
        return Opened(text, file.network, *_input(file.spec, file.network), file.classes)
    if path.is_dir():
        return _of_run(Run(path), text, weights or "last")
    if path.is_file():
        return _of_file(path, text, weights)
    refuse_path(text)
    detects = is_detector(text)
    if weights is not None:
        if detects:
            found = objects_of_model(text, weights)
            return Opened(text, found.network, "detector", _reader(Objects(), found.network), found.classes)
        if Path(weights).is_file() and (restored := _restored(text, Path(weights))) is not None:
            return Opened(text, restored, *_input(_spec(text, restored, detects), restored))
        predictor = of_model(text, weights)
        network = predictor.network.eval()
        if Path(weights).exists():
            return Opened(text, network, *_input(predictor.spec, network), predictor.classes)
        return Opened(text, network, "image", _as_published(predictor), predictor.classes)
    return _named(text, detects)


def _of_run(run: Run, text: str, weights: str) -> Opened:
    if weights not in ("last", "best"):
        raise ValueError(f"weights={weights!r} does not exist: the run '{shown(text)}' has the weights last and best")
    if not run.recipe_file.is_file():
        raise ValueError(
            f"'{shown(text)}' is not a run folder: it has no recipe.json; give the folder that `wholeframe train "
            "--out` wrote"
        )
    recipe = run.recipe()
    network = run.network("best" if weights == "best" else "last")
    return Opened(text, network, *_input(recipe.data, network), run.classes())


def _of_file(path: Path, text: str, weights: str | None) -> Opened:
    """A checkpoint whose folder says which network it belongs to."""
    run = Run(path.parent)
    if weights is not None:
        raise ValueError(f"'{shown(text)}' holds weights itself; leave weights={weights!r} out")
    for chosen, file in (("last", run.last), ("best", run.best)):
        if path.resolve() == file.resolve() and run.recipe_file.is_file():
            return _of_run(run, text, chosen)
    raise ValueError(_of_weights(path))


def _of_weights(path: Path) -> str:
    """Why a file that does not name its network is not a MODEL. ValueError for one without weights."""
    state_of(path)
    return (
        f"'{shown(path)}' holds weights and not which network they belong to; give the name of the network, and the "
        f"file as --weights, or write a file of wf.save by `wholeframe convert '{shown(path)}' -o NAME.safetensors`"
    )


def refuse_path(text: str) -> None:
    """ValueError for a text that can only be meant as a path, and is neither a run folder nor a file of `wf.save`."""
    if Path(text).is_file():
        raise ValueError(_of_weights(Path(text)))
    if _looks_like_path(text):
        raise ValueError(
            f"there is no '{shown(text)}'; give a run folder, a checkpoint in one, or the name of a network, such as "
            "r50_gc"
        )


def _named(name: str, detects: bool) -> Opened:
    """A named network with random weights."""
    if name in MODELS:
        network = create_model(name)
    elif detects:
        network = torchvision.models.get_model(name.rpartition("/")[2], weights=None, weights_backbone=None)
    elif name in BACKBONES or "/" in name or name in torchvision.models.list_models():
        network = create_backbone(name, 1000)
    else:
        raise ValueError(
            f"there is neither a run folder nor a network {shown(name)!r}{did_you_mean(name, MODELS)} (`wholeframe "
            "models` lists all)"
        )
    said = f"{name} has random weights; give a run or --weights FILE"
    return Opened(name, network.eval(), *_input(_spec(name, network, detects), network), untrained=said)


def _spec(name: str, network: nn.Module, detects: bool) -> Objects | Clips | Images:
    """How a named network takes a file."""
    bare = name.rpartition("/")[2]
    if detects:
        return Objects()
    if name in MODELS and len(MODELS[name].input) == 4:
        return clips_of(name)
    if not name.startswith("timm/") and bare in torchvision.models.list_models(module=torchvision.models.video):
        return Clips(Sampling(16, 4), size=112 if bare.endswith("_18") else 224, colours="torchvision")
    return Images(size=_config(network).get("input_size", (3, 224, 224))[-1])


def _restored(name: str, file: Path) -> nn.Module | None:
    """A named backbone with the blocks that the file has a record of; None for a file without further blocks."""
    state = state_of(file)
    network = create_backbone(name, IMAGENET)
    if not any(in_block(key) and key not in network.state_dict() for key in state):
        return None
    layer = classifier(network)
    key = next(f"{path}.weight" for path, module in network.named_modules() if module is layer)
    if key in state and len(state[key]) != IMAGENET:
        network = create_backbone(name, len(state[key]))
    restore(network, file)
    return network.eval()


def _input(spec: Any, network: nn.Module) -> tuple[Kind, Callable[[Path], Given]]:
    kind = "detector" if isinstance(spec, Objects) else "clip" if isinstance(spec, Clips) else "image"
    return kind, _reader(spec, network)


def _reader(spec: Any, network: nn.Module) -> Callable[[Path], Given]:
    """The function from a file to an input of this kind."""

    def image(file: Path) -> Given:
        photo = read_image(file)
        if max(photo.size) > LONGEST * min(photo.size):
            raise ValueError(
                f"'{shown(file)}' has {photo.width} x {photo.height} pixels, and its shorter side is scaled to "
                f"{spec.size}: the longer one would be more than {LONGEST} times that; cut out a part"
            )
        prepare = spec.whole()
        whole = prepare(photo)[None]
        if whole.shape[2] == whole.shape[3] or _runs(network, whole):
            return Given(whole, np.asarray(photo))
        side = min(photo.size)
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        square = photo.crop((left, top, left + side, top + side))
        note = (
            f"the network takes only {spec.size} x {spec.size} pixels, so it sees the centre square of the photograph"
        )
        return Given(prepare(square)[None], np.asarray(square), note)

    def objects(file: Path) -> Given:
        photo = read_image(file)
        refuse_thin(network, (photo.height, photo.width))
        return Given([as_input(photo)], np.asarray(photo))

    def clip(file: Path) -> Given:
        from wholeframe.data.video.file import read_frames, video_info  # PyAV is an optional extra.

        info = video_info(file)
        crop = fixed_crops(spec.size)
        (frames,) = spec.sampling.evenly(1, info.frames)
        (view,) = crop.views(read_frames(file, frames, region=crop.draw(info.height, info.width), info=info))
        return Given(normalised(view, spec.colours)[None], view.permute(1, 2, 3, 0).numpy())

    return objects if isinstance(spec, Objects) else clip if isinstance(spec, Clips) else image


def _as_published(predictor: Predictor) -> Callable[[Path], Given]:
    """The function from a file to the crop that published weights are for; the picture is that crop."""
    config = _config(predictor.network)
    mean, std = (torch.tensor(config.get(name, usual))[:, None, None] for name, usual in (("mean", MEAN), ("std", STD)))

    def read(file: Path) -> Given:
        x = predictor.read(file)
        picture = ((x * std + mean) * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
        note = f"the network sees the crop of {x.shape[2]} x {x.shape[1]} pixels that its weights are evaluated on"
        return Given(x[None], picture.numpy(), note)

    return read


def _config(network: nn.Module) -> dict[str, Any]:
    """What timm stores of the input of its networks; empty for others."""
    config = getattr(network, "pretrained_cfg", None)
    return config if isinstance(config, dict) else {}


@torch.no_grad()
def _runs(network: nn.Module, x: Tensor) -> bool:
    """Whether a network takes an input of this size."""
    try:
        network(x)
    except Exception:  # the network does not take this size, and any error may say so
        return False
    return True


def _looks_like_path(text: str) -> bool:
    """Whether a text that is no file can only be meant as one: a library is the one folder that a name can have."""
    folder, slash, _ = text.rpartition("/")
    return (
        text.startswith((".", "/", "~"))
        or (bool(slash) and folder not in ("torchvision", "timm"))
        or (not slash and Path(text).suffix in (".ckpt", ".pt", ".pth", ".safetensors"))
    )
