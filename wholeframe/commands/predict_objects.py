"""`wholeframe predict` with a detector: a table, a picture of each photograph, and files for machines."""

import contextlib
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.table import Column, Table

from wholeframe.commands.plain import console
from wholeframe.commands.writable import writable
from wholeframe.data.image_files import images_among
from wholeframe.data.images import read_image
from wholeframe.explain.found import Found, class_name
from wholeframe.explain.objects import draw_objects, enlargement
from wholeframe.messages import counted, listed, shown
from wholeframe.train.named_files import files_among
from wholeframe.train.object_answers import SUFFIXES, ObjectAnswer, objects_file
from wholeframe.train.predict_objects import ObjectPredictor


def detect(
    predictor: ObjectPredictor, given: Sequence[Path], out: Path | None, json: Path | None, score: float
) -> None:
    """Print the objects of every photograph, draw or save them. The exit status is 1 if some are not read, 2 if all.

    Args:
        predictor: the detector.
        given: photographs, folders of them, and lists.
        out: a picture, a folder of pictures, or a file for machines.
        json: another file for machines, .json or .jsonl.
        score: objects below it are neither printed nor drawn; files for machines have all objects of the detector.
    """
    if json is not None and json.suffix not in SUFFIXES[:2]:
        raise ValueError(f"--json is saved as .json or .jsonl, got '{shown(json)}'")
    files, notes = files_among(given, images_among, "image")
    saved = [file for file in (json, out) if file is not None and file.suffix in SUFFIXES and not file.is_dir()]
    pictures = {} if out is None or out in saved else pictures_of(files, out)
    for file in [*saved, *pictures.values()]:
        refuse_photograph(file, files)
        writable(file)
    if score < predictor.floor:
        notes.append(f"the detector itself leaves out objects with scores below {predictor.floor:g}")
    for note in notes:
        print(note)

    rows = Table(Column("file", overflow="fold"), "class", "score", Column("box: x1 y1 x2 y2", no_wrap=True))
    lost: list[str] = []
    total = 0
    with contextlib.ExitStack() as opened:
        writers = [opened.enter_context(objects_file(each, predictor.classes, predictor.keypoints)) for each in saved]
        for file in files:
            answer = _answer(predictor, file)
            for write in writers:
                write(answer)
            if answer.found is None:
                lost.append(shown(answer.reason, 400))
                continue
            chosen = answer.found.at_least(score)
            total += len(answer.found)
            picture = pictures.get(file)
            if picture is not None:
                draw_objects(read_image(file), chosen, predictor.classes, picture, predictor.keypoints)
            elif out is None and len(chosen):
                add_rows(rows, file, chosen, predictor.classes)
            print(f"{sentence(file, answer.found, chosen, score, predictor)}{_drawn(picture, chosen)}")

    if len(lost) == len(files):
        raise ValueError(listed(lost, between="; "))
    if rows.row_count:
        console().print(rows)
    for file in saved:
        without = "; a CSV has no masks and keypoints, .json has them" if file.suffix == ".csv" else ""
        print(f"{counted(total, 'object')} with scores from {predictor.floor:g} on saved in '{shown(file)}'{without}")
    if lost:
        print(f"{len(lost)} of {len(files)} have no answer: {listed(lost, between='; ')}", file=sys.stderr)
        sys.exit(1)


def _answer(predictor: ObjectPredictor, file: Path) -> ObjectAnswer:
    """The objects in a file, or why there are none."""
    try:
        return ObjectAnswer(file, predictor(read_image(file)))
    except (ValueError, OSError) as error:
        return ObjectAnswer(file, None, str(error))


def sentence(file: Path, found: Found, chosen: Found, score: float, predictor: ObjectPredictor) -> str:
    """What was found in a photograph: `'a.jpg': 3 objects (2 dog, 1 cat), 4 below 0.5 left out`."""
    name = f"'{shown(file)}'"
    if not len(found):
        return f"{name}: no object with a score of at least {predictor.floor:g}, the lowest that the detector gives"
    if not len(chosen):
        best = shown(class_name(int(found.labels[0]), predictor.classes), 60)
        highest = f"the highest of {counted(len(found), 'object')} is {float(found.scores[0]):.2f} ({best})"
        return f"{name}: no object with a score of at least {score:g}; {highest}"
    counts = Counter(class_name(label, predictor.classes) for label in chosen.labels.tolist()).most_common()
    classes = listed(f"{count} {shown(each, 60)}" for each, count in counts)
    below = f", {len(found) - len(chosen)} below {score:g} left out" if len(chosen) < len(found) else ""
    full = f"; {predictor.most} is the most that the detector gives" if len(found) >= predictor.most else ""
    return f"{name}: {counted(len(chosen), 'object')} ({classes}){below}{full}"


def _drawn(picture: Path | None, chosen: Found) -> str:
    if picture is None:
        return ""
    factor = enlargement(chosen.size)
    if not len(chosen):
        return f"; '{shown(picture)}' is the photograph alone"
    return f"; drawn in '{shown(picture)}'{f', {factor} times as large' if factor > 1 else ''}"


def add_rows(rows: Table, file: Path, chosen: Found, classes: Sequence[str]) -> None:
    """Add a row per object of a photograph."""
    numbers = zip(chosen.labels.tolist(), chosen.scores.tolist(), chosen.boxes.tolist(), strict=True)
    for number, (label, score, box) in enumerate(numbers):
        name = "" if number else shown(file)
        rows.add_row(name, shown(class_name(label, classes), 60), f"{score:.4f}", " ".join(f"{x:.1f}" for x in box))
    rows.add_section()


def pictures_of(files: Sequence[Path], out: Path) -> dict[Path, Path]:
    """The picture of each photograph: `out` itself, `out-1.png`, `out-2.png`, ..., or by its name in the folder."""
    if out.is_dir() or not out.suffix:
        if nearby := [file for file in files if file.parent.resolve() == out.resolve()]:
            raise ValueError(
                f"the folder '{shown(out)}' has photographs, such as '{shown(nearby[0].name)}', which a picture could "
                "replace; give -o another folder"
            )
        taken: set[str] = set()
        return {file: out / _free(file.stem, taken) for file in files}
    if out.suffix.lower() != ".png":
        raise ValueError(
            f"objects are drawn as .png or into a folder, and saved as {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, "
            f"got '{shown(out)}'"
        )
    if len(files) == 1:
        return {files[0]: out}
    return {file: out.with_name(f"{out.stem}-{number}{out.suffix}") for number, file in enumerate(files, 1)}


def _free(stem: str, taken: set[str]) -> str:
    """`stem.png`, or `stem-2.png` where another photograph has it, in any case of letters."""
    name, number = f"{stem}.png", 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}.png"
    taken.add(name.lower())
    return name


def refuse_photograph(file: Path, photographs: Sequence[Path]) -> None:
    """Refuse to write a file in place of a photograph, by whatever name or link."""
    for photo in photographs:
        if file.resolve() == photo.resolve() or (file.exists() and photo.exists() and file.samefile(photo)):
            raise ValueError(f"'{shown(file)}' would replace the photograph '{shown(photo)}'; give another file")
