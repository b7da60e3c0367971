"""Kill a training at random moments of its life, resume it, and compare it with one that was left alone.

    PYTHONPATH=tests python -m faults.kills --kills 200
    PYTHONPATH=tests python -m faults.kills --kills 10 --training detector

A life is a training that is killed a few times and resumed as a person would: `--resume` if the folder has a recipe, a
new start if it has none. A third of the kills come after a random time, a third before a random write of a file or of
its name, and a third are a SIGTERM after a random time, upon which the training saves within the epoch.
The last weights, the best weights and metrics.csv must be those of the training that was left alone, to the bit.
"""

import argparse
import contextlib
import csv
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from coco_folder import coco_folder
from lightning.pytorch.callbacks import Callback
from metrics_table import without_speed
from PIL import Image
from torch import Tensor

from wholeframe import cli
from wholeframe.commands import train
from wholeframe.models import build
from wholeframe.models.toy import ToyNet
from wholeframe.train.run import Run, read_checkpoint

KINDS = ("time", "write", "term")
MOST = 4  # Kills in one life.


class Dropping(ToyNet):
    """A small network whose training draws random numbers in every step."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, 0.2, self.training))


@contextlib.contextmanager
def tiny_network() -> Iterator[None]:
    """The backbone `small` with 8 channels, so that its checkpoints are small, and with dropout."""
    before = build.BACKBONES["small"]
    build.BACKBONES["small"] = partial(Dropping, strides=(2, 2, 2), depth=2, width=8)
    try:
        yield
    finally:
        build.BACKBONES["small"] = before


def photos(root: Path) -> Path:
    """A folder of two classes with twelve small images each."""
    draw = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(root / name / f"{number:02}.png")
    return root


CLASSIFIER = "train small_nl --size 8 --batch 4 --epochs 3 --lr 0.01 --flip"
DETECTOR = "train coco_maskrcnn_tiny_gc --size 32 --longest 64 --batch 4 --epochs 2"

TRAININGS = {"classifier": photos, "detector": coco_folder}
"""name -> what writes its data"""


def start(data: Path, folder: Path) -> list[str]:
    """The command that starts the training on this data."""
    command = DETECTOR if (data / "annotations").is_dir() else CLASSIFIER
    return [*command.split(), "--workers", "0", "--accelerator", "cpu", "--data", str(data), "--out", str(folder)]


def resume(folder: Path) -> list[str]:
    """The command that continues it."""
    return ["train", "--resume", str(folder), "--accelerator", "cpu"]


def next_command(data: Path, folder: Path) -> list[str]:
    """What a person types after a kill."""
    return resume(folder) if (folder / "recipe.json").exists() else start(data, folder)


def forked(command: list[str], log: Path, before: Callable[[], None] = lambda: None) -> int:
    """Run a command of this program in a process of its own, which has the imports already; the process's id."""
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        stream = log.open("w", buffering=1)
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        sys.stdout = sys.stderr = stream
        sys.argv = ["wholeframe", *command]
        before()
        cli.main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(child: int) -> int:
    """The status that a process ended with, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def waited(command: list[str], log: Path, before: Callable[[], None] = lambda: None) -> int:
    """The status that a command of this program ends with."""
    return ended(forked(command, log, before))


def stop_in(epoch: int, index: int) -> Callable[[], None]:
    """A function that makes its process send itself SIGTERM in a step of a training."""

    class Stop(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if (trainer.current_epoch, batch_idx) == (epoch, index):
                os.kill(os.getpid(), signal.SIGTERM)

    def install() -> None:
        train.RichProgressBar = Stop

    return install


def die_at_write(number: int, report: Path | None = None) -> None:
    """Make this process kill itself before its write `number`: a flush, a name, a folder, rows of a table, or an open.

    Args:
        number: 0 lets it live.
        report: a file for the number of writes so far.
    """
    count = 0

    def counted(function):
        def call(*arguments, **options):
            nonlocal count
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            if report is not None:
                descriptor = opened(report, os.O_WRONLY | os.O_CREAT)
                os.write(descriptor, f"{count:08}".encode())
                os.close(descriptor)
            return function(*arguments, **options)

        return call

    opened = os.open
    for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "mkdir"), (csv.DictWriter, "writerows"), (os, "open")):
        setattr(owner, name, counted(getattr(owner, name)))


class Life:
    """One training: killed, resumed, compared."""

    def __init__(self, data: Path, folder: Path, duration: float, writes: int, draw: random.Random):
        self.data, self.folder, self.duration, self.writes, self.draw = data, folder, duration, writes, draw
        self.log = folder.with_suffix(".log")
        self.kills: list[str] = []

    def live(self) -> int:
        """Kill and resume it, then let it end; the number of kills that hit it."""
        for _ in range(self.draw.randint(1, MOST)):
            kind = self.draw.choice(KINDS)
            command = next_command(self.data, self.folder)
            if kind == "write":
                at = self.draw.randint(1, self.writes)
                child = forked(command, self.log, partial(die_at_write, at))
            else:
                at = self.draw.uniform(0, self.duration)
                child = forked(command, self.log)
                time.sleep(at)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL if kind == "time" else signal.SIGTERM)
            status = ended(child)
            if status in (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM):
                self.kills.append(f"{kind} {at:.3f}")
            elif status:
                raise AssertionError(f"stuck after {self.kills} with status {status}: {self.log.read_text()[-3000:]}")
        if status := waited(next_command(self.data, self.folder), self.log):
            raise AssertionError(f"stuck after {self.kills} with status {status}: {self.log.read_text()[-3000:]}")
        return len(self.kills)


def differences(whole: Run, run: Run) -> list[str]:
    """What differs between two trainings: tensors by name, and the table."""
    wrong = []
    for name in ("last", "best"):
        first, second = (read_checkpoint(getattr(r, name)) for r in (whole, run))
        if first["epoch"] != second["epoch"] or first["state_dict"].keys() != second["state_dict"].keys():
            wrong.append(f"{name}: epoch or keys")
            continue
        wrong += [f"{name}: {key}" for key, value in first["state_dict"].items() if not equal(value, second, key)]
    return wrong + ["metrics.csv"] * (without_speed(whole.metrics) != without_speed(run.metrics))


def equal(value: Tensor, checkpoint: dict, key: str) -> bool:
    return torch.equal(value, checkpoint["state_dict"][key])


def reference(data: Path, folder: Path) -> tuple[Run, float, int]:
    """A training that is left alone, its duration in seconds, and its number of writes."""
    begun = time.monotonic()
    log, report = folder.with_suffix(".log"), folder.with_suffix(".writes")
    if status := waited(start(data, folder), log, partial(die_at_write, 0, report)):
        raise AssertionError(f"the training that is left alone ends with status {status}: {log.read_text()[-3000:]}")
    return Run(folder), time.monotonic() - begun, int(report.read_text())


def kill(root: Path, kills: int, seed: int, training: str) -> list[str]:
    """Live until that many kills have hit; every life that got stuck or ended unequal, in words."""
    draw, faults, done, number = random.Random(seed), [], 0, 0
    with tiny_network():
        data = TRAININGS[training](root / "data")
        whole, duration, writes = reference(data, root / "whole")
        print(f"a whole life: {duration:.1f} s, {writes} writes", flush=True)
        while done < kills:
            life = Life(data, root / f"life{number}", duration, writes, draw)
            number += 1
            try:
                life.live()
                if wrong := differences(whole, Run(life.folder)):
                    faults.append(f"unequal after {life.kills}: {wrong[:5]}")
            except (AssertionError, ValueError) as error:
                faults.append(f"life {number - 1}: {error}")
            else:
                shutil.rmtree(life.folder)
            done += len(life.kills)
            print(f"{done} kills in {number} lives, {len(faults)} faults", flush=True)
    return faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--training", choices=TRAININGS, default="classifier")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        found = kill(Path(place), given.kills, given.seed, given.training)
    print("\n".join(found) or "none stuck, none unequal")
    sys.exit(bool(found))
