"""A network as a file with 8 bits: ONNX with weights and activations, or a program of torch with linear weights.

Only layers outside of blocks become integers. Blocks stay in float: a softmax over positions, a covariance and its root
amplify the rounding of 8 bits, and their products have no constant weights.
"""

import contextlib
import copy
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe.blocks import Block, ISqrtCov
from wholeframe.deploy.export import export
from wholeframe.deploy.formats import FORMATS, format_of, move, refuse_path
from wholeframe.deploy.int8_weights import rounded
from wholeframe.deploy.parity import Run, difference, leaves
from wholeframe.deploy.prepared import needed
from wholeframe.messages import counted, listed, shown
from wholeframe.surgery.detectors import is_detector
from wholeframe.surgery.feeds import norms_of
from wholeframe.surgery.folded import is_fused
from wholeframe.surgery.fuse import fuse
from wholeframe.surgery.merged import Merged

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
SCOPES = "pkg.torch.onnx.name_scopes"
"""where the exporter writes the names of the modules that a node belongs to"""


@dataclass(frozen=True)
class Quantized:
    """What `quantize` wrote.

    Args:
        path: the file.
        size, float_size: in bytes, with integers and before.
        layers: the number of layers with 8 bits: convolutions and linear layers in ONNX, linear ones in a program.
        kept: the operations (ONNX) or layers (a program) of blocks that stay in float, with their number.
        images: that the error was measured on, and in ONNX the ranges of activations.
        error: the largest difference from the float network on these images, relative to its largest output.
        left: the layers outside of blocks that stay in float -> the reason; none in ONNX.
    """

    path: Path
    size: int
    float_size: int
    layers: int
    kept: Mapping[str, int]
    images: int
    error: float
    left: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        kept = ", ".join(f"{number} {kind}" for kind, number in self.kept.items())
        images, onnx_file = counted(self.images, "image"), self.path.name.endswith(".onnx")
        done = f"{counted(self.layers, 'layer')} with 8 bits, calibrated with {images}"
        done = done if onnx_file else f"{counted(self.layers, 'linear layer')} with 8-bit weights"
        lines = [
            f"'{shown(self.path)}': {self.size / 1e6:.2f} MB instead of {self.float_size / 1e6:.2f} MB, {done}",
            f"  in float, within blocks: {kept or 'nothing'}",
        ]
        for reason in dict.fromkeys(self.left.values()):
            names = [name or "the network itself" for name, why in self.left.items() if why == reason]
            lines.append(f"  in float, because {reason}: {listed(names, most=8)}")
        lines.append(f"  largest difference on {images}, relative to the largest output: {self.error:.1e}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Agreement:
    """How often an opened file names the class that the network names, and how often each is right.

    Args:
        images: that were compared.
        same: those with the same most probable class.
        labelled: those with a known class, and of these the number that the network and the file name rightly.
    """

    images: int
    same: int
    labelled: int = 0
    right: int = 0
    right_in_file: int = 0

    def __str__(self) -> str:
        told = f"top-1 agrees on {self.same} of {counted(self.images, 'image')} ({self.same / self.images:.1%})"
        if not self.labelled:
            return f"{told}; accuracy is not known, because no image is in a folder named as a class"
        before, after = self.right / self.labelled, self.right_in_file / self.labelled
        return f"{told}; accuracy on {self.labelled} labelled: {before:.1%} in float, {after:.1%} with 8 bits"


def quantize(
    network: nn.Module,
    path: str | os.PathLike[str],
    images: Sequence[Tensor],
    *,
    classes: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Quantized:
    """Write a network as a file with 8-bit weights, and in ONNX 8-bit activations, its blocks in float.

        wf.quantize(network, "network.int8.onnx", images)    # weights and activations, for onnxruntime
        wf.quantize(network, "network.int8.pt2", images)     # weights of linear layers, by torchao, for torch

    The network is fused (`wf.fuse`) and exported (`wf.export`, which compares the float file with it). In ONNX, every
    convolution and linear layer outside of blocks gets a scale per output channel for its weight and one range for its
    input and output, from the smallest to the largest value on the images. In a program of torch, every linear layer
    outside of blocks gets a weight in 8 bits with a scale per output, and the file is compared with the network that
    has these weights. How much it changes has to be measured on other images: `agreement`, and `wholeframe quantize`.

    Args:
        network: of images, in float32; it stays as it is.
        path: of the file, which ends in `.onnx` or `.pt2`. An earlier file is replaced.
        images: inputs `(1, c, h, w)` as the network takes them, a few dozen typical ones.
        classes, mean, std: written into the file, see `wf.export`.

    Raises:
        ValueError: for another end of the path, no images, a detector, a network that is not in float32, one without a
            layer to quantize, and where onnx, onnxruntime or torchao is not installed.
    """
    target = Path(path)
    kind = quantized_format(target)
    _refuse(network, images)
    for library in ("onnx", "onnxruntime") if kind == ".onnx" else ():
        needed(library, "export")
    example, single = images[0], is_fused(network) or not norms_of(network)
    fused = copy.deepcopy(network if single else fuse(network, example)).cpu().eval()
    changed = rounded(fused, example) if kind == ".pt2" else None
    if changed is not None and not changed.layers:
        raise ValueError(
            "the network has no linear layer outside of blocks that torchao takes, so nothing has 8 bits; give a path "
            "that ends in .onnx, where convolutions have 8 bits as well"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".quantize-", dir=target.parent) as place:
        made, written = Path(place, f"float{kind}"), Path(place, target.name)
        export(fused, made, example, classes=classes, mean=mean, std=std)
        if changed is not None:
            export(changed.network, written, example, classes=classes, mean=mean, std=std)
            layers, kept, left = len(changed.layers), changed.kept, changed.left
        else:
            names, kept = _chosen(made, fused)
            if not names:
                raise ValueError(
                    "the network has no convolution or linear layer outside of blocks, so nothing has 8 bits"
                )
            _write(made, written, names, images)
            layers, left = len(names), {}
        error = _error(fused, FORMATS[kind].opened(written), images)
        sizes = written.stat().st_size, made.stat().st_size
        move(written, target)
    return Quantized(target, *sizes, layers, kept, len(images), error, left)


def quantized_format(target: Path) -> str:
    """`.onnx` or `.pt2`.

    Raises:
        ValueError: for a path with another end, and for that of a folder.
    """
    kind = next((end for end in (".onnx", ".pt2") if target.name.endswith(end)), None)
    if kind is None or format_of(target) != kind:
        raise ValueError(
            f"'{shown(target)}' does not end in .onnx or .pt2; give X.onnx for 8-bit weights and activations in "
            "onnxruntime, or X.pt2 for 8-bit weights of linear layers in torch"
        )
    refuse_path(target)
    return kind


def _error(network: nn.Module, run: Run, images: Sequence[Tensor]) -> float:
    """The largest difference on the images, relative to the largest output of each."""
    worst = 0.0
    for x in images:
        outputs = run(x.cpu())
        if not all(output.isfinite().all() for output in outputs):
            raise ValueError("the network with 8 bits returns numbers that are not finite on one of the images")
        with torch.no_grad():
            worst = max(worst, difference(outputs, leaves(network(x.cpu()))))
    return worst


def agreement(network: nn.Module, run: Run, images: Iterable[tuple[Tensor, int | None]]) -> Agreement:
    """Compare a network with an opened file, by their most probable classes.

    Args:
        network: in eval mode.
        run: such as `wholeframe.deploy.onnx.opened(file)`.
        images: inputs `(1, c, h, w)`, each with its class, or None where that is not known.

    Raises:
        ValueError: if there is no image.
    """
    count = same = labelled = right = right_in_file = 0
    with torch.no_grad():
        for x, label in images:
            count += 1
            named, in_file = (int(output[0].argmax()) for output in (leaves(network(x))[0], run(x)[0]))
            same += named == in_file
            if label is not None:
                labelled += 1
                right += named == label
                right_in_file += in_file == label
    if count == 0:
        raise ValueError("there is no image to compare the network and the file on; give more images")
    return Agreement(count, same, labelled, right, right_in_file)


def _refuse(network: nn.Module, images: Sequence[Tensor]) -> None:
    if is_detector(network):
        raise ValueError(
            "8 bits move the boxes of a detector, and nothing here measures by how much; quantize a network that "
            "classifies"
        )
    if not images:
        raise ValueError(
            "images= is empty; give a few dozen inputs (1, c, h, w), for the ranges of activations and the error"
        )
    wrong = next((x for x in images if not isinstance(x, Tensor) or x.ndim != 4 or len(x) != 1), None)
    if wrong is not None:
        given = tuple(wrong.shape) if isinstance(wrong, Tensor) else type(wrong).__name__
        raise ValueError(f"images= has {given}; each is one input (1, c, h, w)")
    kinds = {t.dtype for t in network.parameters() if t.is_floating_point()}
    if kinds - {torch.float32}:
        raise ValueError("the network has weights that are not float32; quantize `network.float()`")


def _chosen(file: Path, network: nn.Module) -> tuple[list[str], dict[str, int]]:
    """The nodes that get 8 bits, by name, and the products and softmaxes of blocks that stay in float."""
    model = needed("onnx", "export").load(str(file))
    constant = {each.name for each in model.graph.initializer}
    blocks = {name for name, m in network.named_modules() if isinstance(m, Block | ISqrtCov)}
    merged = {name for name, m in network.named_modules() if isinstance(m, Merged)}
    names, kept = [], Counter[str]()
    for node in model.graph.node:
        scopes = next((each.value for each in node.metadata_props if each.key == SCOPES), "")
        inside = {scope.strip("[]' ") for scope in scopes.split(",")}
        of_block = bool(inside & blocks) or (bool(inside & merged) and node.op_type != "Conv")
        if of_block:
            kept.update([node.op_type] if node.op_type in (*PRODUCTS, "Softmax") else [])
        elif node.op_type in PRODUCTS and node.input[1] in constant:
            names.append(node.name)
    return names, dict(sorted(kept.items()))


def _write(made: Path, written: Path, names: list[str], images: Sequence[Tensor]) -> None:
    quantization = needed("onnxruntime.quantization", "export")
    session = needed("onnxruntime", "export").InferenceSession(str(made), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    inputs = iter([{name: x.detach().cpu().numpy()} for x in images])

    class Reader(quantization.CalibrationDataReader):
        def get_next(self) -> Any:
            return next(inputs, None)

    with _quiet():
        quantization.quantize_static(
            str(made),
            str(written),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            # Unsigned inputs times signed weights saturate in 16 bits on processors without VNNI; signed ones do not.
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_quantize=names,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within this context the library does not log its advice: the graph is optimised when it is opened."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
