"""Random damage to the files of a run: flipped bits, lost ends, other files, other values.

    PYTHONPATH=tests python -m faults.damage --seeds 0 100

Each damaged run is resumed: it ends as the run that was left alone, or is refused in a sentence with a way out.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from faults.kills import differences, photos, resume, start, stop_in, tiny_network, waited

from wholeframe.train.run import Run

WAYS = ("put ", "begin ", "give ", "leave ", "move ", "writes one")
FILES = ("recipe.json", "environment.json", "samples.csv", "metrics.csv", "last.ckpt", "best.ckpt", "progress.json")
VALUES = (None, -1, 0, 3.5, 1e400, "", "x" * 400, "../../etc/passwd", [], {}, [[]], True)


def flip(file: Path, draw: random.Random) -> None:
    """Flip one to four bits."""
    content = bytearray(file.read_bytes())
    for _ in range(draw.randint(1, 4)):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    file.write_bytes(content)


def cut(file: Path, draw: random.Random) -> None:
    """Cut the end off, as a full disk does."""
    content = file.read_bytes()
    file.write_bytes(content[: draw.randrange(len(content))])


def zeros(file: Path, draw: random.Random) -> None:
    """Replace a block by zeros, as a file system does after a loss of power."""
    content = bytearray(file.read_bytes())
    begin = draw.randrange(len(content))
    end = min(len(content), begin + draw.choice((1, 64, 4096)))
    content[begin:end] = bytes(end - begin)
    file.write_bytes(content)


def noise(file: Path, draw: random.Random) -> None:
    """Other content of any length."""
    file.write_bytes(draw.randbytes(draw.choice((0, 1, 100, 5000))))


def gone(file: Path, draw: random.Random) -> None:
    """Delete it."""
    file.unlink()


def folder(file: Path, draw: random.Random) -> None:
    """A folder of its name."""
    file.unlink()
    file.mkdir()


def exchanged(file: Path, draw: random.Random) -> None:
    """The content of another file of the run."""
    file.write_bytes((file.parent / draw.choice(FILES)).read_bytes())


def repeated(file: Path, draw: random.Random) -> None:
    """Its own content twice, from anywhere on."""
    content = file.read_bytes()
    file.write_bytes(content + content[draw.randrange(len(content)) :])


def entry(file: Path, draw: random.Random) -> None:
    """Another value of an entry of a JSON file, rows in another order, a checkpoint without some of its entries."""
    if file.suffix == ".ckpt":  # As another program writes them: a part of the entries, all of them whole.
        content = torch.load(file, weights_only=True)
        torch.save({name: value for name, value in content.items() if draw.random() < 0.8}, file)
    elif file.suffix == ".json":
        content = json.loads(file.read_text())
        _change(content, draw)
        file.write_text(json.dumps(content, indent=2))
    else:
        lines = file.read_text().splitlines(keepends=True)
        draw.shuffle(lines)
        file.write_text("".join(lines))


def _change(content: dict, draw: random.Random) -> None:
    inner = [content, *(value for value in content.values() if isinstance(value, dict) and value)]
    chosen = draw.choice(inner)
    name = draw.choice(list(chosen))
    if draw.random() < 0.3:
        del chosen[name]
    else:
        chosen[name] = draw.choice(VALUES)


DAMAGES: tuple[Callable[[Path, random.Random], None], ...] = (
    flip,
    cut,
    zeros,
    noise,
    gone,
    folder,
    exchanged,
    repeated,
    entry,
)


def damaged(run: Path, copy: Path, seed: int) -> str:
    """Copy a run folder and damage one or two files of it; what was done, in words."""
    draw = random.Random(seed)
    shutil.copytree(run, copy)
    done = []
    for _ in range(draw.choice((1, 1, 2))):
        file, damage = copy / draw.choice(FILES), draw.choice(DAMAGES)
        if file.is_file() and file.stat().st_size:
            damage(file, draw)
            done.append(f"{damage.__name__} {file.name}")
    return ", ".join(done)


def runs(place: Path) -> tuple[Run, Path]:
    """A run of three epochs that was left alone, and the folder of one that was stopped in its second epoch."""
    data = photos(place / "photos")
    for name, before, expected in (("whole", lambda: None, 0), ("cut", stop_in(1, 2), 143)):
        if (status := waited(start(data, place / name), place / "log", before)) != expected:
            raise AssertionError(f"{name} ends with status {status}: {(place / 'log').read_text()[-3000:]}")
    return Run(place / "whole"), place / "cut"


def fault(whole: Run, cut: Path, copy: Path, seed: int) -> str:
    """What is wrong with the resume of a damaged copy of `cut`; empty if nothing is."""
    done, log = damaged(cut, copy, seed), copy.with_suffix(".log")
    status, told = waited(resume(copy), log), log.read_text()
    if status == 0:
        wrong = differences(whole, Run(copy))
        return f"seed {seed}, {done}: differs in {wrong[:5]}" if wrong else ""
    *_, last = told.strip().splitlines() or [""]
    named = last.startswith("wholeframe: ") and str(copy) in last and any(way in last for way in WAYS)
    sentence = status == 2 and "Traceback" not in told and named
    return "" if sentence else f"seed {seed}, {done}: status {status}, {told[-1000:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 100))
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place, tiny_network():
        whole, cut = runs(Path(place))
        found = [fault(whole, cut, Path(place) / f"run{seed}", seed) for seed in range(*given.seeds)]
    faults = [text for text in found if text]
    print("\n".join(faults) or f"{len(found)} damaged runs are exact, or refused in a sentence")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
