"""A network compiled by AOTInductor for the processor at hand, in a package that runs without Python.

The compiler is the C++ compiler of this machine, so the file fits this operating system and processor.
"""

from pathlib import Path

import torch
from torch import _inductor as inductor

from wholeframe.deploy.parity import Run, leaves
from wholeframe.deploy.prepared import Prepared, exported, exporting

EXPORTER = "AOTInductor"


def write(prepared: Prepared, file: Path) -> None:
    """Compile and write the package; its strings are the metadata that `loader.get_metadata()` returns."""
    program = exported(prepared)
    with exporting(EXPORTER), file.open("w+b") as stream:
        inductor.aoti_compile_and_package(
            program, package_path=stream, inductor_configs={"aot_inductor.metadata": dict(prepared.strings)}
        )


def opened(file: Path) -> Run:
    """The package of a file. It is given as an open file, because torch takes a path only if it ends in .pt2."""
    with file.open("rb") as stream:
        package = inductor.aoti_load_package(stream)

    def run(x: torch.Tensor) -> list[torch.Tensor]:
        with torch.no_grad():
            return leaves(package(x.contiguous()))  # the code does not look at strides

    return run
