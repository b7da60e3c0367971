"""A network as a file for other programs, compared with the network at several sizes before it is kept.

model.onnx        onnxruntime and others        model.pt2         torch.export, opened by torch alone
model.aoti.pt2    AOTInductor, without Python   a folder          OpenVINO, model.xml and model.bin
"""

import copy
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from wholeframe.blocks import CGNL, NonLocal
from wholeframe.deploy import detector, openvino
from wholeframe.deploy.axes import Free, free_axes, random_input
from wholeframe.deploy.described import describe, refuse_classes
from wholeframe.deploy.example import default_example
from wholeframe.deploy.formats import FOLDER, FORMATS, bytes_of, format_of, move, open_again, refuse_path
from wholeframe.deploy.parity import Compared, bound, compare, leaves
from wholeframe.deploy.prepared import Prepared
from wholeframe.deploy.stated import stated
from wholeframe.messages import listed, shown
from wholeframe.surgery.detectors import is_detector
from wholeframe.surgery.probe import refuse_model


@dataclass(frozen=True)
class Exported:
    """What `export` wrote.

    Args:
        path: the file, or the folder of OpenVINO.
        exporter: that wrote it.
        opset: of ONNX; None for others.
        input: the name of the input and its axes, a name for a free size and a number for a fixed one.
        outputs: their names.
        compared: every input that was compared, the example first, with its error.
        strings: what the file says of the network.
        size: in bytes.
        notes: sentences about limits of the file.
    """

    path: Path
    exporter: str
    opset: int | None
    input: tuple[str, tuple[int | str, ...]]
    outputs: tuple[str, ...]
    compared: tuple[Compared, ...]
    strings: Mapping[str, str]
    size: int
    notes: tuple[str, ...]

    @property
    def error(self) -> float:
        """The largest error of all inputs, relative to the largest output."""
        return max(compared.error for compared in self.compared)

    def __str__(self) -> str:
        name, axes = self.input
        opset = f", opset {self.opset}" if self.opset else ""
        return "\n".join(
            [
                f"'{shown(self.path)}': {self.size / 1e6:.1f} MB, by {self.exporter}{opset}",
                f"  input {name} ({', '.join(map(str, axes))}), output {listed(self.outputs)}",
                "  difference from the network, relative to its largest output:",
                *(f"    {compared}" for compared in self.compared),
                f"  embedded: {listed(self.strings, most=20)}",
                *(f"  {note}" for note in self.notes),
            ]
        )


def export(
    network: nn.Module,
    path: str | os.PathLike[str],
    example: Tensor | None = None,
    *,
    classes: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Exported:
    """Write a network as a file for other programs, with free sizes.

        wf.export(network, "network.onnx", torch.randn(1, 3, 224, 224), classes=["cat", "dog"])

    Batch, height, width (and the time of clips) are free wherever the network itself takes other sizes, which is found
    by running it. The file is run at the size of the example and at two others, and kept only if every output agrees
    with the network's own to 1e-4 of its largest value in float32. A copy of the network on the CPU is exported, in
    eval mode; the network stays as it is.

    Args:
        network: of one input, in float32 or float64, with or without blocks; or a detector of torchvision.
        path: where the file goes: its end is `.onnx`, `.pt2` (torch.export) or `.aoti.pt2` (AOTInductor, also
            `.aoti`); a path without such an end is a folder for OpenVINO. An earlier file is replaced.
        example: an input `(b, c, h, w)`, `(b, c, t, h, w)` or `(b, c, n)`, or the image `(3, h, w)` of a detector; by
            default one of the size in the file that `wf.load` read, or that the network was published with, else
            `(1, 3, 224, 224)`.
        classes: the names of the classes, in the order of the outputs; of a detector, label k is `classes[k - 1]`. By
            default those that the network has as `classes`, as after `wf.load`.
        mean, std: the normalisation of a pixel in [0, 1], a number per channel; by default that of the file that
            `wf.load` read, whose licence and notes are written too.

    Returns:
        The file with its errors; `print` it for a summary.

    Raises:
        ValueError: for an unknown end of the path, a path that cannot be written, an optional library that is not
            installed, a network that the exporter refuses, and a file that differs from the network.
    """
    target = Path(path)
    kind = format_of(target)
    refuse_model(network)
    _refuse_half(network)
    copied = copy.deepcopy(network).cpu().eval()
    given = default_example(copied) if example is None else example
    if not isinstance(given, Tensor):
        raise ValueError(f"example= is a {type(given).__name__}; give the one tensor that the network takes")
    given = given.detach().cpu()
    refuse_path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent)
    except OSError as error:
        raise ValueError(f"'{shown(target)}' cannot be written ({error.strerror})") from error
    with place as folder:
        file = Path(folder, target.name)
        if is_detector(copied):
            done = _export_detector(copied, given, file, kind, classes, mean, std)
        else:
            done = _export_network(copied, given, file, kind, classes, mean, std)
        replaced = move(file, target)
    said = (f"an earlier '{shown(target)}' is replaced",) if replaced else ()
    return replace(done, path=target, notes=(*done.notes, *said))


def _export_network(
    network: nn.Module,
    example: Tensor,
    file: Path,
    kind: str,
    classes: Sequence[str] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Exported:
    free = free_axes(network, example)
    with torch.no_grad():
        found = network(example)
    outputs = leaves(found)
    if not outputs:
        raise ValueError(
            f"the network returns a {type(found).__name__} without a tensor, so there is nothing to export"
        )
    refuse_classes(classes, outputs)
    size, channels = example.shape[2:], example.shape[1]
    own = stated(network, outputs, channels, classes, mean, std)
    strings = describe(network, free.written, size, channels, own)
    prepared = Prepared(network, example, free, _output_names(found), strings)
    chosen = FORMATS[kind]
    chosen.write(prepared, file)
    inputs = (example, *(random_input(shape, example) for shape in free.shapes[1:]))
    compared = compare(network, open_again(kind, file), inputs)
    fixed = [f"{name} is fixed at {example.shape[place]}: {free.fixed[name]}" for name, place in _fixed(free)]
    notes = [*own.notes, *fixed, *_notes(network, kind), *([chosen.note] if chosen.note else [])]
    return Exported(
        file,
        chosen.exporter,
        chosen.opset,
        (prepared.input, tuple(free.written)),
        prepared.outputs,
        compared,
        strings,
        bytes_of(file),
        tuple(notes),
    )


def _export_detector(
    network: nn.Module,
    image: Tensor,
    file: Path,
    kind: str,
    classes: Sequence[str] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Exported:
    if kind not in (".onnx", FOLDER):
        raise ValueError(
            f"a detector is exported to ONNX, to a path that ends in .onnx: torch.export, which {kind} needs, refuses "
            "a number of boxes that depends on the image; the backbone of a detector has such a file"
        )
    if image.ndim != 3:
        raise ValueError(f"the example of a detector is one image (3, h, w), got {tuple(image.shape)}")
    if mean is not None or std is not None:
        raise ValueError("a detector of torchvision normalises its images itself; leave mean= and std= out")
    names = detector.names_of(network, image)
    own = stated(network, (), image.shape[0], classes)
    strings = describe(network, detector.WRITTEN, image.shape[1:], image.shape[0], own)
    with tempfile.TemporaryDirectory() as place:
        written = file if kind == ".onnx" else Path(place, "model.onnx")
        detector.write(network, image, written, strings, names)
        if kind == FOLDER:
            openvino.convert(written, file, strings)
    images = [image, *(random_input(shape, image).sigmoid() for shape in detector.shapes_of(image)[1:])]
    compared = detector.compare(network, open_again(kind, file), images, bound(image.dtype))
    notes = ["pixels are in [0, 1]; the detector scales and normalises an image itself"]
    if said := FORMATS[kind].note:
        notes += [
            said,
            "OpenVINO may find one object where the detector finds none; the ONNX file finds none",
        ]
    if not any(one.found for one in compared):
        notes.append("no object was found at any size, so only that was compared; give a photograph as example=")
    return Exported(
        file,
        detector.EXPORTER if kind == ".onnx" else f"{FORMATS[kind].exporter} by {detector.EXPORTER}",
        detector.OPSET,
        (detector.INPUT, detector.WRITTEN),
        names,
        compared,
        strings,
        bytes_of(file),
        (*own.notes, *notes, *_notes(network, kind)),
    )


def _notes(network: nn.Module, kind: str) -> list[str]:
    """What the blocks of a network mean for its file."""
    blocks = dict(network.named_modules())
    dense = [name for name, block in blocks.items() if isinstance(block, NonLocal) and block.kind == "concatenation"]
    spans = [name for name, block in blocks.items() if isinstance(block, CGNL) and block.kernel == "rbf"]
    notes = []
    if dense and kind in (".onnx", FOLDER):
        notes.append(
            f"ONNX cannot search in sorted numbers, so {listed(dense)} compares every query with every key: memory "
            "grows with the square of the positions"
        )
    if spans:
        notes.append(f"{listed(spans)} is exact up to max_span of its inputs and not beyond, as in every graph")
    return notes


def _fixed(free: Free) -> list[tuple[str, int]]:
    return [(name, 0 if number == 0 else number + 1) for number, name in enumerate(free.names) if name in free.fixed]


def _output_names(found: object) -> tuple[str, ...]:
    """`output`, or the keys of a dict, or `output_0`, `output_1`, ..."""
    with_paths, _ = pytree.tree_flatten_with_path(found)
    paths = [path for path, leaf in with_paths if isinstance(leaf, Tensor)]
    if len(paths) == 1 and not paths[0]:
        return ("output",)
    return tuple("_".join(["output", *(str(getattr(k, "key", getattr(k, "idx", k))) for k in path)]) for path in paths)


def _refuse_half(network: nn.Module) -> None:
    kinds = {str(t.dtype).removeprefix("torch.") for t in network.parameters() if t.is_floating_point()}
    if other := sorted(kinds - {"float32", "float64"}):
        raise ValueError(
            f"the network has weights in {listed(other)}, whose rounding would hide errors of the file; export "
            "`network.float()`"
        )
