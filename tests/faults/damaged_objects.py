"""Random damage to data sets of labelled objects: flipped bits, lost ends, other values, other images.

    PYTHONPATH=tests python -m faults.damaged_objects --seeds 0 2000

Each damaged data set gives the objects of the one that was left alone, or says what it leaves out or changes, or is
refused in a sentence with the path of what is wrong.
"""

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from faults.damage import cut, flip, folder, gone, noise, repeated, zeros
from PIL import Image

from wholeframe.data.detection.annotations import Annotations
from wholeframe.data.detection.dataset import DetectionDataset
from wholeframe.data.detection.layouts import open_detections

WIDTH, HEIGHT = 24, 16
VALUES = (
    None,
    -1,
    2.5e7,
    1e400,
    float("nan"),
    10**400,
    "",
    "x" * 400,
    "../../etc/passwd",
    [],
    {},
    [[]],
    [[1, 2]],
    "\ud800",
)
BYTES = (flip, cut, zeros, noise, gone, folder, repeated)

# --------------------------------------------------------------------------------------------------- sound data sets


def images(folder: Path, names: Iterator[str] | tuple[str, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (WIDTH, HEIGHT), "grey").save(folder / name)


def coco(root: Path) -> None:
    corners = [2, 3, 12, 3, 12, 11, 2, 11]
    for split in ("train", "val"):
        names = [f"{split}_{k}.png" for k in range(3)]
        images(root / split, tuple(names))
        entries = [
            {
                "id": 10 * k + j,
                "image_id": k + 5,
                "category_id": (1, 91)[j],
                "bbox": [2, 3, 10, 8],
                "area": 80 if j == 0 else 64,
                "iscrowd": 0,
                "segmentation": [corners] if j == 0 else {"size": [HEIGHT, WIDTH], "counts": [100, 64, 220]},
                "keypoints": [3, 4, 2, 0, 0, 0],
                "num_keypoints": 1,
            }
            for k in range(3)
            for j in range(2)
        ]
        content = {
            "images": [{"id": k + 5, "file_name": n, "width": WIDTH, "height": HEIGHT} for k, n in enumerate(names)],
            "categories": [{"id": i, "name": n, "keypoints": ["nose", "tail"]} for i, n in ((1, "cat"), (91, "dog"))],
            "annotations": entries,
        }
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))


def yolo(root: Path, rows: tuple[str, ...], more: str = "") -> None:
    for split in ("train", "val"):
        images(root / split / "images", ("a.png", "b.png"))
        (root / split / "labels").mkdir()
        for name in ("a", "b"):
            (root / split / "labels" / f"{name}.txt").write_text("\n".join(rows) + "\n")
    (root / "data.yaml").write_text(f"train: train/images\nval: val/images\nnc: 2\nnames: [cat, dog]\n{more}")


def boxes(root: Path) -> None:
    yolo(root, ("0 0.5 0.5 0.5 0.4", "1 0.25 0.25 0.25 0.25"))


def polygons(root: Path) -> None:
    yolo(root, ("0 0.1 0.1 0.6 0.1 0.6 0.9 0.1 0.9", "1 0.5 0.5 0.9 0.5 0.9 0.9"))


def poses(root: Path) -> None:
    yolo(root, ("0 0.5 0.5 0.5 0.4 0.5 0.5 2 0 0 0",), "kpt_shape: [2, 3]\nflip_idx: [1, 0]\n")


def voc(root: Path) -> None:
    names = ("a", "b", "c", "d")
    images(root / "JPEGImages", tuple(f"{name}.png" for name in names))
    (root / "Annotations").mkdir()
    (root / "ImageSets" / "Main").mkdir(parents=True)
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    for name in names:
        objects = "".join(
            f"<object><name>{kind}</name><difficult>0</difficult><bndbox><xmin>{x}</xmin><ymin>2</ymin>"
            f"<xmax>12</xmax><ymax>9</ymax></bndbox></object>"
            for kind, x in (("cat", 3), ("dog", 4))
        )
        text = f"<annotation><filename>{name}.png</filename>{size}{objects}</annotation>"
        (root / "Annotations" / f"{name}.xml").write_text(text)
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
    (root / "ImageSets" / "Main" / "val.txt").write_text("c\nd\n")


SOUND = {make.__name__: make for make in (coco, boxes, polygons, poses, voc)}

# ------------------------------------------------------------------------------------------------------------- damage


def value(file: Path, draw: random.Random) -> None:
    """Another value of a field, which no such field can have; or an entry twice."""
    if file.suffix == ".json":
        content = json.loads(file.read_text())
        entry = draw.choice(content[draw.choice(list(content))])
        chosen = draw.choice([entry, *(inner for inner in entry.values() if isinstance(inner, dict | list))])
        if draw.random() < 0.1:
            table = draw.choice(list(content))
            content[table].append(draw.choice(content[table]))
        else:
            chosen[draw.choice(list(chosen) if isinstance(chosen, dict) else range(len(chosen)))] = draw.choice(VALUES)
        file.write_text(json.dumps(content))
    elif file.suffix == ".txt" and file.parent.name == "labels":
        tokens = re.split(r"(\s+)", file.read_text().strip())
        tokens[2 * draw.randrange(len(tokens) // 2)] = draw.choice(("nan", "1e400", "-7", "x", "\ud7ff", "0x1", "17.5"))
        file.write_text("".join(tokens))
    elif file.suffix == ".xml":
        text = file.read_text()
        # A class is any text, and it cannot be seen that another one is meant.
        start, end = draw.choice([match.span(1) for match in re.finditer(r"<(?!name)\w+>([^<>]+)<", text)])
        file.write_text(text[:start] + draw.choice(("", "nan", "1e400", "x", "-3", "&#0;", "&x;")) + text[end:])


DAMAGES: tuple[Callable[[Path, random.Random], None], ...] = (*BYTES, *[value] * 7)


def damaged(sound: Path, copy: Path, draw: random.Random) -> tuple[str, bool]:
    """Copy a data set and damage a file: what was done, and whether every single number must still be the same."""
    shutil.copytree(sound, copy)
    files = sorted(file for file in copy.rglob("*") if file.is_file())
    texts = [file for file in files if file.suffix != ".png"]
    file, damage = draw.choice(texts if draw.random() < 0.85 else files), draw.choice(DAMAGES)
    # Text files end after any line, so that it cannot be seen that they have lost the rest.
    if file.suffix == ".txt" and damage in (cut, noise, zeros):
        damage = flip
    damage(file, draw)
    return f"{damage.__name__} {file.relative_to(copy)}", damage is value


def outline(split: Annotations) -> list[int]:
    return [len(picture.instances) for picture in split.pictures]


def contents(split: Annotations) -> list[object]:
    """All objects, without the numbers of their annotations, which messages alone have."""
    return [[replace(instance, id=0) for instance in picture.instances] for picture in split.pictures]


def fault(kind: str, sound: Path, copy: Path, seed: int) -> str:
    """What is wrong with reading a damaged copy; empty if nothing is."""
    draw = random.Random(f"{kind}{seed}")
    done, exact = damaged(sound, copy, draw)
    seen = contents if exact else outline
    try:
        whole, found = open_detections(sound), open_detections(copy)
        for split in found.values():
            data = DetectionDataset(split)
            for index in range(len(data)):
                data[index]
    except (ValueError, OSError) as error:
        return "" if str(copy) in str(error) else f"{kind} {seed}, {done}: names no path: {error}"
    except Exception as error:
        return f"{kind} {seed}, {done}: {error!r}"
    if any(split.account.cases for split in found.values()):
        return ""
    same = {name: seen(split) for name, split in found.items()} == {name: seen(split) for name, split in whole.items()}
    return "" if same else f"{kind} {seed}, {done}: other objects, and nothing is said"


def faults(first: int, last: int) -> list[str]:
    found = []
    with tempfile.TemporaryDirectory() as place:
        for kind, make in SOUND.items():
            sound = Path(place) / kind
            sound.mkdir()
            make(sound)
            for seed in range(first, last):
                copy = Path(place) / f"{kind}{seed}"
                found.append(fault(kind, sound, copy, seed))
                shutil.rmtree(copy)
    return [text for text in found if text]


def main() -> None:
    parser = argparse.ArgumentParser(description="Random damage to data sets of labelled objects.")
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 2000))
    given = parser.parse_args()
    found = faults(*given.seeds)
    print("\n".join(found) or "damaged data sets give the same objects, say what is missing, or are refused")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
