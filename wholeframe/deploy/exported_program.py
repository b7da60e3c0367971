"""A network as a program of torch.export, in a .pt2 file that torch opens without this package."""

import json
from pathlib import Path

import torch

from wholeframe.deploy.described import FILE
from wholeframe.deploy.parity import Run, leaves
from wholeframe.deploy.prepared import Prepared, exported, exporting

EXPORTER = "torch.export"


def write(prepared: Prepared, file: Path) -> None:
    """Write the program; its strings are the extra file `wholeframe.json`, one JSON object."""
    program = exported(prepared)
    with exporting(EXPORTER):
        torch.export.save(program, file, extra_files={FILE: json.dumps(dict(prepared.strings), ensure_ascii=False)})


def opened(file: Path) -> Run:
    """The program of a file."""
    program = torch.export.load(file).module()

    def run(x: torch.Tensor) -> list[torch.Tensor]:
        try:
            with torch.no_grad():
                return leaves(program(x))
        except AssertionError as error:
            raise ValueError(
                f"{error}: a map of one cell within the network is a graph of its own for torch.export; give a larger "
                "example, or a path that ends in .onnx"
            ) from None

    return run
