"""What every line of a benchmark's results has: versions, the commit, the machine; and the file of these lines."""

import dataclasses
import json
import platform
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

from wholeframe.train.environment import environment
from wholeframe.train.folder_kinds import refuse_other

T = TypeVar("T")


def record() -> dict[str, Any]:
    """Names and values; an outcome with a number of threads of its own overrides that of the process."""
    threads = torch.get_num_threads()
    return {"commit": _commit(), "machine": _machine(), "threads": threads, "dtype": "float32", **environment()}


def new_results(folder: Path) -> Path:
    """A new file for JSON lines in the folder of a benchmark, which is made; its name is the time."""
    refuse_other(folder, "benchmark")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / time.strftime("%Y%m%d-%H%M%S.jsonl")


def written(outcomes: Iterable[T], file: Path) -> Iterator[T]:
    """Write each outcome, a dataclass, as it comes, so that an interrupted run keeps its results."""
    described = record()
    with file.open("a") as stream:
        for outcome in outcomes:
            fields: dict[str, Any] = dataclasses.asdict(cast(Any, outcome))
            stream.write(json.dumps({**described, **fields}) + "\n")
            stream.flush()
            yield outcome


def _commit() -> str:
    described = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return described.stdout.strip() or "unknown"


def _machine() -> str:
    """The name of the processor, from the operating system."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
