"""A network as an ONNX file, by the exporter that is based on torch.export."""

from pathlib import Path

import torch
from torch import Tensor

from wholeframe.deploy.parity import Run
from wholeframe.deploy.pools import FreePools
from wholeframe.deploy.prepared import Prepared, exporting, needed

EXPORTER = "torch.onnx (dynamo)"
OPSET = 18
LARGEST = 2**31
"""bytes of a file: its format counts them in 31 bits"""


def write(prepared: Prepared, file: Path) -> None:
    """Write the file; its strings are the `metadata_props` of the model.

    Raises:
        ValueError: if onnx is not installed, if the weights do not fit into one file, or if the exporter refuses.
    """
    needed("onnx", "export")
    needed("onnxscript", "export")
    refuse_large(prepared)
    free = dict(prepared.free.places)
    with exporting(EXPORTER), FreePools():
        program = torch.onnx.export(
            prepared.network,
            (prepared.traced,),
            dynamo=True,
            dynamic_shapes=(free,),
            input_names=[prepared.input],
            output_names=list(prepared.outputs),
            opset_version=OPSET,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(prepared.strings)
        program.save(str(file), external_data=False)


def refuse_large(prepared: Prepared) -> None:
    """ValueError if the weights alone are larger than an ONNX file can be."""
    size = sum(t.numel() * t.itemsize for t in prepared.network.state_dict().values())
    if size >= LARGEST:
        raise ValueError(
            f"the weights have {size / 2**30:.1f} GiB, and an ONNX file has at most 2; export to a .pt2 file instead"
        )


def opened(file: Path) -> Run:
    """The file in onnxruntime, on the CPU, on as many threads as torch has; by default it would take every core."""
    runtime = needed("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # errors are raised as well, and warnings are about graphs that it simplifies
    session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(x: Tensor) -> list[Tensor]:
        return [torch.from_numpy(array) for array in session.run(None, {name: x.numpy()})]

    return run
