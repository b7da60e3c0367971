"""COCO's figures of detections: average precision and recall, of all classes and of each, and their curves."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isnan, nan
from pathlib import Path
from typing import cast

from wholeframe.data.detection.annotations import Account, Annotations
from wholeframe.messages import listed, one_of
from wholeframe.train.tasks.class_scores import write_rows
from wholeframe.train.tasks.coco_curves import Curve, draw_curves
from wholeframe.train.tasks.coco_encoding import KINDS, TENSORS, Detection, Kind
from wholeframe.train.tasks.coco_evaluation import Evaluation, evaluate_results, refusal
from wholeframe.train.tasks.coco_figures import FIGURES, mean_of
from wholeframe.train.tasks.coco_results import CocoResults
from wholeframe.train.whole_files import write_json


@dataclass(frozen=True, eq=False)
class CocoScores:
    """Detections in the images of a split, and COCO's figures of them.

    Args:
        results: the detections.
        evaluations: precision and recall of every kind that is scored.
        account: the detections that are left out, and the kinds that are not scored.
    """

    results: CocoResults
    evaluations: Mapping[Kind, Evaluation]
    account: Account

    @property
    def annotations(self) -> Annotations:
        """The objects that are compared with."""
        return self.results.annotations

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that are scored."""
        return tuple(self.evaluations)

    @property
    def count(self) -> int:
        """The number of images."""
        return len(self.annotations.pictures)

    # ------------------------------------------------------------------------------------------------------- figures

    def figures(self, kind: Kind = "bbox", name: str | None = None) -> dict[str, float]:
        """COCO's figures: twelve for boxes and masks, ten for keypoints.

            AP = mean over IoU 0.50, 0.55, ..., 0.95, over recalls 0, 0.01, ..., 1, and over classes, of precision

        Source: https://cocodataset.org/#detection-eval.

        Args:
            kind: "bbox", "segm" or "keypoints".
            name: of a class, for its figures alone.

        Returns:
            AP, AP50, AP75; APs, APm, APl of objects below 32² pixels, below 96² and above; AR1, AR10, AR100 with this
            number of detections of a class in an image; ARs, ARm, ARl. Keypoints have AR, AR50 and AR75 of at most 20
            detections instead, and no small objects. Between 0 and 1; nan where no object is counted.

        Raises:
            ValueError: the kind is not scored, or there is no such class.
        """
        evaluation = self._evaluation(kind)
        chosen = slice(None) if name is None else [self._index(name)]
        return {title: mean_of(evaluation, figure, chosen) for title, figure in FIGURES[kind].items()}

    def objects(self, kind: Kind = "bbox") -> list[int]:
        """The number of objects of every class that an evaluation counts: no crowds, and keypoints only if labelled."""
        counts = Counter(
            instance.label
            for picture in self.annotations.pictures
            for instance in picture.instances
            if not instance.crowd and (kind != "keypoints" or any(point[2] > 0 for point in instance.keypoints or ()))
        )
        return [counts[label] for label in range(1, len(self.annotations.classes) + 1)]

    def summary(self, classes: Sequence[str] = ()) -> str:
        """AP, AP50 and AP75 of every kind, and the account; the names of the classes change nothing."""
        parts = []
        for kind in self.kinds:
            figures = self.figures(kind)
            parts.append(f"{kind} " + ", ".join(f"{name} {figures[name]:.4f}" for name in ("AP", "AP50", "AP75")))
        absent = self.objects().count(0)
        classes = "1 class" if absent == 1 else f"{absent} classes"
        left_out = f" ({classes} without an object left out)" if absent else ""
        return "; ".join([f"{', '.join(parts)}{left_out}", *([str(self.account)] if self.account.cases else [])])

    def overview(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Column names, and a row for each of COCO's figures with its value for every kind."""
        found = {kind: self.figures(kind) for kind in self.kinds}
        titles = dict.fromkeys(title for figures in found.values() for title in figures)
        rows = [
            (title, *(_printed(figures[title]) if title in figures else "" for figures in found.values()))
            for title in titles
        ]
        return ("figure", *self.kinds), rows

    def table(self, classes: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Column names, and a row per class: the objects, and AP and AP50 of every kind.

        Args:
            classes: those of the detector; some of them may be absent from the annotations.
        """
        columns = [(kind, title) for kind in self.kinds for title in ("AP", "AP50")]
        header = ("class", "objects", *(f"{kind} {title}" for kind, title in columns))
        counts = dict(zip(self.annotations.classes, self.objects(), strict=True))
        rows = []
        for name in classes:
            figures = {kind: self.figures(kind, name) if name in counts else {} for kind in self.kinds}
            values = [_printed(figures[kind].get(title, nan)) for kind, title in columns]
            rows.append((name, str(counts.get(name, 0)), *values))
        return header, rows

    def curve(self, kind: Kind = "bbox", name: str | None = None, threshold: float = 0.5) -> Curve:
        """Precision over recall, of all sizes.

        Args:
            kind: "bbox", "segm" or "keypoints".
            name: of a class; None is the mean over the classes with an object.
            threshold: of IoU, or of OKS for keypoints: 0.5, 0.55, ..., 0.95.

        Returns:
            The precision at the recalls 0, 0.01, ..., 1, whose mean is the average precision.

        Raises:
            ValueError: the kind is not scored, or there is no such threshold or class, or the class has no object.
        """
        evaluation = self._evaluation(kind)
        one_of("threshold", threshold, evaluation.thresholds)
        at = evaluation.thresholds.index(threshold)
        counts = self.objects(kind)
        chosen = [k for k, count in enumerate(counts) if count] if name is None else [self._index(name)]
        if not all(counts[k] for k in chosen):
            raise ValueError(
                f"the class {name!r} has no object in '{self.annotations.source}', so that it has no recall; there are "
                f"{listed(own for own, count in zip(self.annotations.classes, counts, strict=True) if count)}"
            )
        return Curve(
            recall=evaluation.recalls,
            precision=evaluation.precision[at, :, chosen, 0, -1].mean(axis=0),
        )

    def curves(self, kind: Kind = "bbox", names: Sequence[str] = ()) -> dict[str, Curve]:
        """Curves with their titles, for `draw_curves`: of all classes at every threshold, or of some classes at 0.5.

        Raises:
            ValueError: as `curve`.
        """
        if names:
            return {name: self.curve(kind, name) for name in names}
        overlap = "OKS" if kind == "keypoints" else "IoU"
        thresholds = self._evaluation(kind).thresholds
        return {f"{overlap} {threshold:.2f}": self.curve(kind, None, threshold) for threshold in thresholds}

    def _evaluation(self, kind: Kind) -> Evaluation:
        one_of("kind", kind, tuple(self.evaluations))
        return self.evaluations[kind]

    def _index(self, name: str) -> int:
        one_of("class", name, self.annotations.classes)
        return self.annotations.classes.index(name)

    # --------------------------------------------------------------------------------------------------------- a file

    def write(
        self, folder: Path, names: Sequence[Sequence[str]], header: Sequence[str], classes: Sequence[str], title: str
    ) -> str:
        """All files of an evaluation, see `wholeframe.train.evaluations`."""
        self.write_detections(folder / "scores.csv", names, header)
        header, rows = self.table(classes)
        write_rows(folder / "classes.csv", header, rows)
        figures = {kind: {k: None if isnan(v) else v for k, v in self.figures(kind).items()} for kind in self.kinds}
        write_json(folder / "figures.json", {"images": self.count, **figures})
        for kind in self.kinds:
            self.results.write(folder / f"results-{kind}.json", kind)
            draw_curves(self.curves(kind), folder / f"curves-{kind}.png", f"{kind}, {title}")
        return "every detection, the figures of every class and the curves of precision over recall"

    def write_detections(self, file: Path, names: Sequence[Sequence[str]], header: Sequence[str]) -> None:
        """A row per detection: the names of its image, its class, its score, x1, y1, x2 and y2 in pixels.

        An image without detections has one row. Masks and keypoints are in `results.write`.
        """
        labels = dict(zip(self.annotations.category_ids, self.annotations.classes, strict=True))
        rows = []
        for name, entries in zip(names, self.results.by_picture(), strict=True):
            for entry in entries:
                x, y, width, height = entry.get("bbox", (nan,) * 4)
                corners = ["" if isnan(v) else f"{v:.2f}" for v in (x, y, x + width, y + height)]
                rows.append([*name, labels[entry["category_id"]], f"{entry['score']:.6f}", *corners])
            if not entries:
                rows.append([*name, "no detection", *[""] * 5])
        write_rows(file, [*header, "label", "score", "x1", "y1", "x2", "y2"], rows)


# -------------------------------------------------------------------------------------------------- from detections


def score_detections(
    detections: Mapping[int, Detection] | Iterable[tuple[int, Detection]],
    annotations: Annotations,
    kinds: Sequence[Kind] | None = None,
    *,
    sigmas: Sequence[float] | None = None,
) -> CocoScores:
    """COCO's figures of the detections in the images of a split, by faster-coco-eval.

        scores = score_detections(((picture.id, detector([image])[0]) for picture, image in ...), annotations)
        print(scores.summary())                                 # bbox AP 0.4013, AP50 0.6120, AP75 0.4377

    The account of the scores names the detections that are left out, see `CocoResults`, and the kinds that the
    annotations do not allow.

    Args:
        detections: of every image, by its id: a mapping, or pairs, which may come one by one.
        annotations: the objects.
        kinds: "bbox", "segm", "keypoints"; None takes those that the first detections and the annotations have.
        sigmas: the constants of OKS, one for every keypoint; None takes those of COCO by name.

    Returns:
        The scores; images without detections count as images in which nothing was found, and the account says so.

    Raises:
        ValueError: no detection belongs to an image of the annotations; a tensor is absent or has another shape; or a
            kind of `kinds` cannot be scored.
        ImportError: faster-coco-eval is not installed.
    """
    items = detections.items() if isinstance(detections, Mapping) else detections
    pairs = cast(Iterator[tuple[int, Detection]], iter(items))
    first = next(pairs, None)
    if first is None:
        raise ValueError("there are no detections to score; give those of every image, empty where nothing was found")
    if not (isinstance(first, tuple) and len(first) == 2):
        raise ValueError(
            f"detections begin with a {type(first).__name__}, which does not name its image; give a mapping from image "
            "ids, or pairs such as zip(image_ids, detections)"
        )
    unscored = {} if kinds is not None else _unscored(first[1], annotations, sigmas)
    if kinds is None:
        kinds = [kind for kind in KINDS if TENSORS[kind] in first[1] and kind not in unscored]
    if not kinds:
        reasons = "; ".join(unscored.values()) or "there is no kind to score, of 'bbox', 'segm' and 'keypoints'"
        raise ValueError(f"the detections cannot be scored: {reasons}")
    results = CocoResults(annotations, kinds)
    for kind, reason in unscored.items():
        results.account.add(f"{kind} not scored", reason)
    for image_id, detection in chain([first], pairs):
        results.add(image_id, detection)
    return score_results(results, sigmas=sigmas)


def _unscored(detection: Detection, annotations: Annotations, sigmas: Sequence[float] | None) -> dict[Kind, str]:
    """The kinds that detections have and that cannot be scored on the annotations, with the reasons."""
    reasons: dict[Kind, str | None] = {
        kind: refusal(annotations, kind, sigmas) for kind in KINDS if TENSORS[kind] in detection
    }
    return {kind: reason for kind, reason in reasons.items() if reason}


def score_results(results: CocoResults, *, sigmas: Sequence[float] | None = None) -> CocoScores:
    """COCO's figures of collected results, or of a file of them (`read_coco_results`), by faster-coco-eval.

    Args:
        results: the detections.
        sigmas: the constants of OKS, one for every keypoint; None takes those of COCO by name.

    Returns:
        The scores of every kind of the results.

    Raises:
        ValueError: no result belongs to an image of the annotations, or a kind cannot be scored on them.
        ImportError: faster-coco-eval is not installed.
    """
    annotations = results.annotations
    for kind in results.kinds:
        if reason := refusal(annotations, kind, sigmas):
            raise ValueError(f"{kind} cannot be scored: {reason}")
    if not results.seen:
        raise ValueError(
            f"none of the images of '{annotations.source}' has detections ({str(results.account) or 'none were given'})"
        )
    evaluations: dict[Kind, Evaluation] = {
        kind: evaluate_results(annotations, results.entries(kind), kind, sigmas) for kind in results.kinds
    }
    return CocoScores(results, evaluations, _account(results, evaluations))


def _account(results: CocoResults, evaluations: Mapping[Kind, Evaluation]) -> Account:
    """The detections that are left out, images without detections, and images with more than an evaluation counts."""
    account = Account()
    for place, reason in results.account:
        account.add(reason, place)
    for picture in results.annotations.pictures:
        if picture.id not in results.seen:
            account.add("image without detections, counted as one in which nothing was found", picture.file.name)
    for kind, evaluation in evaluations.items():
        most = evaluation.limits[-1]
        numbers = Counter((entry["image_id"], entry["category_id"]) for entry in results.entries(kind))
        for image_id in dict.fromkeys(image_id for (image_id, _), number in numbers.items() if number > most):
            reason = f"image with more than {most} detections of a class, of which {kind} counts the {most} best"
            account.add(reason, results.pictures[image_id].file.name)
    return account


def _printed(figure: float) -> str:
    return "no object" if isnan(figure) else f"{figure:.4f}"
