"""A network for OpenVINO: a folder with model.xml and model.bin, converted from ONNX.

OpenVINO computes in bfloat16 on processors that have it, unless it is compiled for `f32`; the comparison here is in
`f32`.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from wholeframe.deploy.parity import Run
from wholeframe.deploy.prepared import exporting, needed

EXPORTER = "OpenVINO, from ONNX"
FILES = ("model.xml", "model.bin")
FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}


def convert(file: Path, folder: Path, strings: Mapping[str, str]) -> None:
    """Write the folder of an ONNX file; the strings are in its `rt_info`, under "wholeframe". Weights keep 32 bits."""
    openvino = needed("openvino", "openvino")
    with exporting(EXPORTER):
        model = openvino.convert_model(str(file))
        for key, text in strings.items():
            model.set_rt_info(text, ["wholeframe", key])
        folder.mkdir(exist_ok=True)
        openvino.save_model(model, str(folder / FILES[0]), compress_to_fp16=False)


def opened(folder: Path) -> Run:
    """The network of a folder, on the CPU, in float32."""
    openvino = needed("openvino", "openvino")
    compiled = openvino.Core().compile_model(str(folder / FILES[0]), "CPU", FLOAT32)

    def run(x: Tensor) -> list[Tensor]:
        found = compiled(x.numpy())
        return [torch.from_numpy(found[place].copy()) for place in range(len(compiled.outputs))]

    return run
