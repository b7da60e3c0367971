"""`wholeframe predict RUN_OR_MODEL FILE...`."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from rich.table import Column, Table

from wholeframe.commands.plain import console
from wholeframe.commands.predict_objects import detect
from wholeframe.commands.writable import writable
from wholeframe.data.image_files import images_among
from wholeframe.data.video.views import ONCE, read_views
from wholeframe.explain.answers import draw_over_time
from wholeframe.messages import counted, listed, shown
from wholeframe.train.answers import ARRAYS, SUFFIXES, Answer, answers_file, write_features
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.limits import at_least
from wholeframe.train.named_files import files_among
from wholeframe.train.network_file import holds_network
from wholeframe.train.opened import refuse_path
from wholeframe.train.predict import Predictor, of_file, of_model, of_run
from wholeframe.train.predict_objects import is_detector, objects_of_file, objects_of_model, objects_of_run
from wholeframe.train.run import Run


@dataclass(frozen=True)
class Options:
    """The most probable classes of images or videos; of a detector, the objects in images."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_OR_MODEL")]
    """a run folder of `wholeframe train`, a file of `wf.save`, or a network with weights: torchvision/NAME, timm/NAME,
    or a name of `wholeframe models` with --weights FILE"""
    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """images, or videos for a network that takes clips; folders of them, and lists (.txt with a path per line, .csv)"""
    top: int | None = None
    """number of classes to print for each file, 5 by default"""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """save the probabilities of all classes: .csv, or .jsonl with a JSON object per line; of a detector, draw the
    objects (.png, of several photographs -1.png, -2.png, ..., or a folder), or save them (.json, .jsonl, .csv)"""
    score: float | None = None
    """of a detector: print and draw objects with this score or a higher one, 0.5 by default"""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """of a detector: save all its objects, with masks and keypoints, as .json, or .jsonl with a line per photograph"""
    every: Annotated[str | None, tyro.conf.arg(metavar="SECONDS")] = None
    """answers over the time of a video, for each segment of this length, such as 2s; with --out also as a picture"""
    features: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """save the input of the classifier, a row per answer: as .npy, or as .safetensors with the names of the files"""
    views: Annotated[str | None, tyro.conf.arg(metavar="CLIPSxCROPS")] = None
    """of each video, 10x3 by default; of each segment of --every, 1x1, the centre of one clip"""
    weights: str | None = None
    """of a run: last (default) or best; of a network: DEFAULT (default), another name of its library, or a file"""

    def __post_init__(self):
        if self.top is not None:
            at_least("top", self.top, 1, 5)
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"score must be from 0 to 1, got {self.score} (0.5 by default)")
        for name, file in (("features", self.features), ("answers", self.out), ("answers", self.json)):
            if file is not None and file.resolve() in {given.resolve() for given in self.files}:
                raise ValueError(f"the {name} would replace '{shown(file)}', which is to be read; give another file")

    def refuse(self, names: Sequence[str], of: str, this: str) -> None:
        """Refuse options that apply to another kind of network."""
        for name in names:
            if (value := getattr(self, name)) is not None:
                raise ValueError(f"--{name} {shown(value)} applies to {of}, and this network {this}; leave it out")


def main(arguments: list[str]) -> None:
    """Run `wholeframe predict`. The exit status is 1 if some files have no answer, and 2 if none has."""
    options = tyro.cli(Options, args=arguments, prog="wholeframe predict")
    if not options.files:
        raise ValueError("give at least one image or video")
    if is_detector(options.model):
        options.refuse(("top", "every", "features", "views"), "networks that classify", "detects objects")
        if Path(options.model).is_dir():
            detector = objects_of_run(Run(Path(options.model)), _of_run(options.weights))
        elif holds_network(options.model):
            detector = objects_of_file(Path(options.model), options.weights)
        else:
            detector = objects_of_model(options.model, options.weights or "DEFAULT")
        detect(detector, options.files, options.out, options.json, 0.5 if options.score is None else options.score)
    else:
        options.refuse(("score", "json"), "detectors", "classifies")
        classify(options)


def classify(options: Options) -> None:
    """Print and save the classes of every file."""
    for name, file, suffixes in (("features", options.features, ARRAYS), ("answers", options.out, SUFFIXES)):
        if file is not None and file.suffix not in suffixes:
            raise ValueError(f"{name} are saved as {' or '.join(suffixes)}, got '{shown(file)}'")
    views = options.views or ("1x1" if options.every else None)
    if Path(options.model).is_dir():
        predictor = of_run(Run(Path(options.model)), _of_run(options.weights), views)
    elif holds_network(options.model):
        predictor = of_file(Path(options.model), views, options.weights)
    else:
        refuse_path(options.model)
        predictor = of_model(options.model, options.weights or "DEFAULT", views)
    if isinstance(predictor.spec, Clips):
        sampling, size = predictor.spec.sampling, predictor.spec.size
        print(f"clips of {sampling.frames} frames, {sampling.stride} apart, {size} x {size} pixels")
    files = _files(options.files, predictor)
    answer = _answers(predictor, options.every, views)
    for file in filter(None, (options.out, options.features)):
        writable(file)

    answers: list[Answer] = []
    with contextlib.ExitStack() as opened:
        many = predictor.task.labels == "many"
        write = (
            opened.enter_context(answers_file(options.out, predictor.classes, many, bool(options.every)))
            if options.out
            else lambda answer: None
        )
        for file in files:
            for given in answer(file):
                write(given)
                answers.append(given)

    done = [answer for answer in answers if answer.prediction]
    lost = [f"{_time(answer)}{shown(answer.reason, 400)}" for answer in answers if answer.reason]
    if not done:
        raise ValueError(listed(lost, between="; "))
    console().print(table(done, predictor.classes, options.top or 5))
    if options.features is not None:
        write_features(done, options.features)
        print(f"features of {counted(len(done), 'segment' if options.every else 'file')} are in '{options.features}'")
    if options.out is not None:
        print(f"the probabilities of all classes are in '{shown(options.out)}'")
        if options.every:
            print(f"drawn over time in {listed(_draw(answers, predictor.classes, options.out))}")
    if lost:
        print(f"{len(lost)} of {len(answers)} have no answer: {listed(lost, between='; ')}", file=sys.stderr)
        sys.exit(1)


def _files(given: Sequence[Path], predictor: Predictor) -> list[Path]:
    """The files to read, with a sentence for every folder and list."""
    if predictor.of_clips:
        from wholeframe.data.video.extensions import is_video, videos_among  # PyAV is an optional extra.

        files, notes = files_among(given, videos_among, "video", whole=is_video)
    else:
        files, notes = files_among(given, images_among, "image")
    for note in notes:
        print(note)
    return files


def _answers(predictor: Predictor, every: str | None, views: str | None) -> Callable[[Path], Iterator[Answer]]:
    """A function from a file to its answers: one, or one per segment. A file that is broken has a reason instead."""
    if every is None:

        def whole(file: Path) -> Iterator[Answer]:
            try:
                yield Answer(file, predictor(file))
            except (ValueError, OSError) as error:
                yield Answer(file, None, reason=str(error))

        return whole
    if not isinstance(predictor.spec, Clips):
        raise ValueError(f"--every {every} applies to videos, and this network takes images; leave --every out")
    from wholeframe.train.over_time import parts_of, seconds  # PyAV is an optional extra.

    spec, length, chosen = predictor.spec, seconds(every), read_views(views) if views else ONCE

    def over_time(file: Path) -> Iterator[Answer]:
        try:
            parts = parts_of(file, length, spec, chosen)
        except (ValueError, OSError) as error:
            yield Answer(file, None, reason=str(error))
            return
        if short := sum(part.short for part in parts):
            print(f"'{shown(file)}': in {short} of {len(parts)} segments a clip is longer, and its frames are repeated")
        for part in parts:
            try:
                yield Answer(file, predictor.of_sample(part.read()), part.start, part.end)
            except (ValueError, OSError) as error:
                yield Answer(file, None, part.start, part.end, str(error))

    return over_time


def table(answers: Sequence[Answer], classes: Sequence[str], top: int) -> Table:
    """The most probable classes of every answer."""
    timed = any(answer.start is not None for answer in answers)
    rows = Table(Column("file", overflow="fold"), *(["seconds"] if timed else []), "class", "probability")
    before = None
    for answer in answers:
        assert answer.prediction is not None
        name, before = "" if answer.file == before else shown(answer.file), answer.file
        best = answer.prediction.probabilities.topk(min(top, len(classes)))
        for number, (p, label) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            first = [name, *([_time(answer)] if timed else [])]
            rows.add_row(*(first if number == 0 else [""] * len(first)), shown(classes[label], 60), f"{p:.4f}")
        rows.add_section()
    return rows


def _draw(answers: Sequence[Answer], classes: Sequence[str], out: Path) -> list[str]:
    """A picture for each video next to the table of answers; their names."""
    videos = [list(group) for _, group in groupby(answers, key=lambda answer: answer.file)]
    timed = [segments for segments in videos if any(answer.prediction for answer in segments)]
    names = []
    for number, segments in enumerate(timed, 1):
        nothing = np.full(len(classes), np.nan)
        shares = np.stack([a.prediction.probabilities.numpy() if a.prediction else nothing for a in segments])
        edges = [segment.start or 0.0 for segment in segments] + [segments[-1].end or 0.0]
        picture = out.with_name(f"{out.stem}{f'-{number}' if len(timed) > 1 else ''}.png")
        draw_over_time(edges, shares, classes, picture, segments[0].file.name)
        names.append(f"'{shown(picture)}'")
    return names


def _time(answer: Answer) -> str:
    """`2.0 to 4.0 ` of a segment; empty for a whole file."""
    return "" if answer.start is None or answer.end is None else f"{answer.start:.1f} to {answer.end:.1f} "


def _of_run(weights: str | None) -> Literal["last", "best"]:
    if weights not in (None, "last", "best"):
        raise ValueError(f"weights={weights!r} does not exist: a run has the weights last and best")
    return "best" if weights == "best" else "last"
