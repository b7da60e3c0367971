"""`wholeframe bench exports`: every named network as an ONNX file, with its error, size and latency."""

import fnmatch
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from wholeframe.bench.exports import measure
from wholeframe.commands.writable import writable
from wholeframe.messages import counted, nearest, shown
from wholeframe.models.zoo import MODELS
from wholeframe.models.zoo.detection import DETECTION_MODELS

HEAD = "| network | exporter | opset | MB | error | eager ms | onnxruntime ms | eager / onnxruntime |"


@dataclass(frozen=True)
class Options:
    """Export every named network that is not a detector to ONNX, and time it in turns with the network itself.

    Images have the size that the network was published with, and clips 8 frames of 112 x 112: at published sizes, 32
    frames of 224 x 224 and more, this takes hours. A line is written after each network, and networks that the file
    has already are left out: the same command continues where it was stopped. At the end the file is printed as a
    table.
    """

    out: Annotated[Path, tyro.conf.arg(metavar="FILE.jsonl")]
    """where the lines go"""
    only: tuple[str, ...] = ()
    """names of networks, or patterns such as "r50_*"; by default all"""
    turns: int = 5
    """how often each is timed"""


def main(arguments: list[str]) -> None:
    """Run `wholeframe bench exports`."""
    options = tyro.cli(Options, args=arguments, prog="wholeframe bench exports")
    names = chosen(options.only)
    writable(options.out)
    rows = read(options.out)
    missing = [name for name in names if name not in rows]
    print(
        f"{counted(len(names), 'network')}, {len(names) - len(missing)} of them are in '{shown(options.out)}' already"
    )
    for number, name in enumerate(missing, 1):
        rows[name] = measure(name, options.turns)
        with options.out.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(rows[name]) + "\n")
        said = rows[name].get("refused") or f"error {rows[name]['error']:.1e}, ratio {rows[name]['ratio']:.2f}"
        print(f"{number} of {len(missing)}: {name}: {said}", flush=True)
    print("\n".join(table(rows[name] for name in names)))


def chosen(patterns: Sequence[str]) -> list[str]:
    """The networks that a pattern fits, in the order of `wholeframe models`.

    Raises:
        ValueError: for a pattern that fits none.
    """
    known = [name for name in MODELS if name not in DETECTION_MODELS]
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise ValueError(f"--only {pattern!r} fits no network that is not a detector; {nearest(pattern, known)}")
    return [name for name in known if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def read(file: Path) -> dict[str, dict[str, Any]]:
    """The rows of a file by name.

    Raises:
        ValueError: for a line that is not such a row, as one that was cut off.
    """
    rows: dict[str, dict[str, Any]] = {}
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            rows[row["network"]] = row
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"line {number} of '{shown(file)}' is not a row of this command; delete that line, or give another file"
            ) from error
    return rows


def table(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The rows in Markdown, those that were refused with the reason."""
    lines = [HEAD, "|---|---|---:|---:|---:|---:|---:|---:|"]
    for row in rows:
        cells = (
            [row["network"], f"refused: {row['refused']}", *[""] * 6]
            if "refused" in row
            else [
                row["network"],
                row["exporter"],
                row["opset"],
                f"{row['megabytes']:.1f}",
                f"{row['error']:.0e}",
                f"{row['eager_ms']:.0f}",
                f"{row['onnxruntime_ms']:.0f}",
                f"{row['ratio']:.2f}",
            ]
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines
