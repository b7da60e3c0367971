"""A detector of torchvision as an ONNX file: one image of any size in, the objects out.

How many boxes the suppression leaves depends on the values of an image, which torch.export refuses; the exporter that
records TorchScript takes it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe.deploy.axes import reason_of
from wholeframe.deploy.parity import Compared, Run, difference
from wholeframe.deploy.prepared import exporting, needed
from wholeframe.messages import counted

EXPORTER = "torch.onnx (TorchScript)"
OPSET = 18
INPUT = "image"
WRITTEN = (3, "height", "width")
AXES = {INPUT: {1: "height", 2: "width"}}


def names_of(network: nn.Module, image: Tensor) -> tuple[str, ...]:
    """The outputs of a detector, in order: boxes, labels, scores, and masks or keypoints."""
    with torch.no_grad():
        return tuple(network([image])[0])


def write(network: nn.Module, image: Tensor, file: Path, strings: Mapping[str, str], names: Sequence[str]) -> None:
    """Write the file; its strings are the `metadata_props` of the model."""
    onnx: Any = needed("onnx", "export")
    with exporting(EXPORTER):
        torch.onnx.export(
            network,
            ([image],),
            str(file),
            dynamo=False,
            input_names=[INPUT],
            output_names=list(names),
            dynamic_axes=AXES,
            opset_version=OPSET,
        )
        model = onnx.load(str(file))
        onnx.helper.set_model_props(model, dict(strings))
        onnx.save(model, str(file))


def shapes_of(image: Tensor) -> tuple[tuple[int, ...], ...]:
    """The shape of the example, and two others of another aspect."""
    channels, height, width = image.shape
    return (channels, height, width), (channels, width + 32, height), (channels, height + 32, width)


def compare(
    network: Callable[[list[Tensor]], list[dict[str, Tensor]]], run: Run, images: Sequence[Tensor], most: float
) -> tuple[Compared, ...]:
    """Run both on every image, and compare all objects.

    Objects whose scores differ by rounding alone may change places, so each object is compared with the nearest box
    of the same label. Masks are compared by their mean difference.

    Raises:
        ValueError: if the file fails or finds other objects at a size, or differs by more than `most`.
    """
    done: list[Compared] = []
    for image in images:
        with torch.no_grad():
            expected = network([image])[0]
        shape, found = tuple(image.shape), len(expected["boxes"])
        try:
            actual = dict(zip(expected, run(image), strict=True))
        except Exception as error:  # every runtime has errors of its own
            raise ValueError(
                f"the exported detector fails at {' x '.join(map(str, shape))} ({reason_of(error)}), where the network "
                f"finds {counted(found, 'object')}; no file is left"
            ) from error
        done.append(Compared(shape, apart(actual, expected), found))
        if not done[-1].error <= most:
            raise ValueError(
                f"the exported detector finds {counted(len(actual['boxes']), 'object')} and the network {found} at "
                f"{' x '.join(map(str, shape))}, with a difference of {done[-1].error:.1e} of the largest numbers, "
                f"above {most:.0e}; no file is left"
            )
    return tuple(done)


def apart(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """The largest relative difference between the objects of two answers; inf if they are not the same objects."""
    if any(actual[name].shape != expected[name].shape for name in expected):
        return float("inf")
    if len(expected["boxes"]) == 0:
        return 0.0
    distance = torch.cdist(expected["boxes"], actual["boxes"]) + 1e6 * (
        expected["labels"][:, None] != actual["labels"][None]
    )
    order = distance.argmin(dim=1)
    if len(order.unique()) != len(order):  # two objects share their nearest box, so these are other objects
        return float("inf")
    worst = 0.0
    for name, tensor in expected.items():
        ours = actual[name][order]
        if not tensor.is_floating_point():
            worst = max(worst, 0.0 if torch.equal(ours, tensor) else float("inf"))
        elif name == "masks":
            worst = max(worst, (ours - tensor).abs().mean().item())
        else:
            worst = max(worst, difference([ours], [tensor]))
    return worst
