"""The formats of exported networks by the end of a path, and how a finished file takes its place."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from wholeframe.deploy import aoti, exported_program, onnx, openvino
from wholeframe.deploy.axes import reason_of
from wholeframe.deploy.parity import Run
from wholeframe.deploy.prepared import Prepared
from wholeframe.messages import quoted, shown


class Format(NamedTuple):
    """How a network is written, and how the file is opened again."""

    exporter: str
    opset: int | None
    write: Callable[[Prepared, Path], None]
    opened: Callable[[Path], Run]
    note: str | None = None


def _write_openvino(prepared: Prepared, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        onnx.write(prepared, Path(place, "model.onnx"))
        openvino.convert(Path(place, "model.onnx"), folder, prepared.strings)


AOTI = Format(
    aoti.EXPORTER,
    None,
    aoti.write,
    aoti.opened,
    "the file is compiled code for this operating system and processor and this version of torch; it does not look at "
    "strides, so give it contiguous tensors",
)
FOLDER = "a folder"
FORMATS: Mapping[str, Format] = {
    ".onnx": Format(onnx.EXPORTER, onnx.OPSET, onnx.write, onnx.opened),
    ".aoti.pt2": AOTI,
    ".aoti": AOTI,
    ".pt2": Format(exported_program.EXPORTER, None, exported_program.write, exported_program.opened),
    FOLDER: Format(
        openvino.EXPORTER,
        onnx.OPSET,
        _write_openvino,
        openvino.opened,
        "the errors are those of float32: OpenVINO computes in bfloat16 where the processor has it, unless it is "
        'compiled with {"INFERENCE_PRECISION_HINT": "f32"}',
    ),
}
"""The end of a path -> its format; the first that fits counts."""


def format_of(path: Path) -> str:
    """The key of `FORMATS` for a path.

    Raises:
        ValueError: for an end that is not among them.
    """
    for end in FORMATS:
        if path.name.endswith(end) and path.name != end:
            return end
    if path.suffix and not path.is_dir():
        known = quoted(sorted(FORMATS.keys() - {FOLDER}))
        raise ValueError(
            f"'{shown(path)}' ends in {path.suffix!r}, which is not one of {known}; a path without an end is a folder "
            "for OpenVINO"
        )
    return FOLDER


def open_again(kind: str, file: Path) -> Run:
    """What was written, in the program that it is for.

    Raises:
        ValueError: if a library is not installed, or the program does not take the file.
    """
    try:
        return FORMATS[kind].opened(file)
    except ValueError:  # a sentence already
        raise
    except Exception as error:  # every runtime has errors of its own
        raise ValueError(f"the exported network does not open again ({reason_of(error)}); no file is left") from error


def refuse_path(target: Path) -> None:
    """ValueError for a folder in the place of a file, or a file in the place of a folder."""
    if format_of(target) != FOLDER and target.is_dir():
        raise ValueError(f"'{shown(target)}' is a folder; give the path of a file in it")
    if format_of(target) == FOLDER and target.is_file():
        raise ValueError(f"'{shown(target)}' is a file, and OpenVINO needs a folder; give the path of a folder")


def move(made: Path, target: Path) -> bool:
    """Put what was made in its place; whether something was there."""
    if made.is_file():
        was_there = target.exists()
        made.replace(target)
        return was_there
    was_there = any((target / name).exists() for name in openvino.FILES)
    target.mkdir(exist_ok=True)
    for name in openvino.FILES:
        (made / name).replace(target / name)
    return was_there


def bytes_of(path: Path) -> int:
    """The bytes of a file, or of the files in a folder."""
    return sum(f.stat().st_size for f in (path.iterdir() if path.is_dir() else [path]))
