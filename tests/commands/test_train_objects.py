"""Detectors, from one end to the other: train, resume to the bit, evaluate; and what is refused on the way."""

import csv
import json
import re
import shutil

import pytest

pytest.importorskip("faster_coco_eval")

from coco_folder import coco_folder

import wholeframe as wf
from wholeframe.commands import train

SMALL = ("--size", "64", "--longest", "96", "--batch", "4", "--workers", "0", "--accelerator", "cpu")


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """Images with cats and dogs. Tests do not write into it."""
    return coco_folder(tmp_path_factory.mktemp("data") / "objects")


@pytest.fixture(scope="module")
def detector_run(tmp_path_factory, objects):
    """A training of two epochs. Tests do not write into it, but for evaluations."""
    folder = tmp_path_factory.mktemp("runs") / "detector"
    train.main(["coco-maskrcnn-tiny-gc", "--data", str(objects), "--out", str(folder), *SMALL, "--epochs", "2"])
    return folder


def rows_of(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_losses_and_the_figures_have_names(detector_run):
    rows = rows_of(detector_run / "metrics.csv")
    terms = ("classifier", "box_reg", "mask", "objectness", "rpn_box_reg")
    step = next(row for row in rows if row["train/loss"])
    assert sum(float(step[f"train/loss_{name}"]) for name in terms) == pytest.approx(
        float(step["train/loss"]), rel=1e-5
    )
    epochs = [row for row in rows if row["val/mask_AP"]]
    assert len(epochs) == 2 and all(
        0 <= float(epochs[-1][f"val/{n}"]) <= 1 for n in ("box_AP", "box_AP50", "mask_AP50")
    )
    assert {"best.ckpt", "last.ckpt", "samples.csv"} <= {file.name for file in detector_run.iterdir()}


@pytest.mark.slow
def test_evaluate(call, capsys, objects, detector_run):
    call("evaluate", detector_run, "--data", objects)
    told = capsys.readouterr().out
    assert "4 images with 8 objects, 2 classes" in told and "on 4 val images, weights last" in told
    folder = detector_run / "evaluations" / "last-val"
    assert {file.name for file in folder.iterdir()} == {
        "settings.json",
        "figures.json",
        "scores.csv",
        "classes.csv",
        *(
            f"{name}-{kind}.{end}"
            for name, end in (("results", "json"), ("curves", "png"))
            for kind in ("bbox", "segm")
        ),
    }
    figures = json.loads((folder / "figures.json").read_text())
    last = [row for row in rows_of(detector_run / "metrics.csv") if row["val/mask_AP"]][-1]
    assert figures["images"] == 4 and figures["segm"]["AP"] == pytest.approx(float(last["val/mask_AP"]), abs=1e-6)
    assert [row["class"] for row in rows_of(folder / "classes.csv")] == ["cat", "dog"]
    network = wf.load_run(detector_run)
    assert network.classes == ("cat", "dog") and network.transform.min_size == (64,)


@pytest.mark.slow
def test_classes_in_another_order_and_fewer(call, capsys, tmp_path, refused, detector_run):
    """Labels are matched by name, and detections of a class that the data lacks are counted."""
    call("evaluate", detector_run, "--data", coco_folder(tmp_path / "other", classes=("dog",), train=0))
    told = capsys.readouterr().out
    assert "1 of the 2 classes of the run are in the data" in told
    assert [row["objects"] for row in rows_of(detector_run / "evaluations" / "last-val-other" / "classes.csv")] == [
        "0",
        "8",
    ]
    owls = coco_folder(tmp_path / "owls", classes=("owl",), train=0)
    assert "the data also has 'owl'" in refused("evaluate", detector_run, "--data", owls)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("--backbone", "fasterrcnn_r50"), r"'fasterrcnn_r50' learns boxes, .* give --objects boxes"),
        (("--backbone", "maskrcnn_r50_cg"), r"no detector 'maskrcnn_r50_cg'"),
        (("--mixup", "0.2"), r"mixup and cutmix .* give --mixup 0 --cutmix 0"),
        (("--size", "8"), r"a side has at least 32 pixels"),
        (("--weights", "DEFAULT"), r"no published weights of 'maskrcnn_tiny_gc'"),
        (("--batch", "64"), r"8 training images with objects, fewer than one batch of 64"),
        (
            ("--norm", "frozen", "--objects", "keypoints", "--backbone", "keypointrcnn_tiny"),
            r"person_keypoints|layouts",
        ),
    ],
)
def test_what_cannot_be_trained(refused, objects, tmp_path, given, sentence):
    told = refused("train", "coco-maskrcnn-tiny-gc", "--data", objects, "--out", tmp_path / "run", *SMALL, *given)
    assert re.search(sentence, " ".join(told.replace("│", " ").split())) and "Traceback" not in told
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_images_that_cannot_be_used_are_named(call, capsys, refused, tmp_path):
    run = tmp_path / "run"
    root = coco_folder(tmp_path / "objects", train=6)
    (root / "train" / "2.png").write_bytes(b"no image")
    shutil.copy(root / "train" / "3.png", root / "train" / "4.png")  # upright, and annotated as wide
    for option in ((), ("--strict",)):
        assert "2.png" in refused("train", "coco_maskrcnn_tiny_gc", "--data", root, "--out", run, *SMALL, *option)
    options = ("--tolerate", "0.5", "--epochs", "1", "--backbone", "maskrcnn_tiny_nl1")
    call("train", "coco_maskrcnn_tiny_gc", "--data", root, "--out", run, *SMALL, *options)
    told = capsys.readouterr().out
    assert "2 of 10 images could not be read" in told and "48 x 64 pixels (turned, as by an EXIF" in told
    rows = rows_of(run / "left_out.csv")
    assert {row["file"] for row in rows} == {"train/2.png", "train/4.png"}


def test_a_loss_that_is_not_finite_names_the_images(refused, tmp_path, objects):
    options = ("--lr", "1e30", "--clip", "None", "--epochs", "9", "--batch", "2")
    told = refused("train", "coco_maskrcnn_tiny_gc", "--data", objects, "--out", tmp_path / "run", *SMALL, *options)
    assert re.search(r"the loss is .* on '\d.png' \(image \d\), '\d.png' \(image \d\)", told)


@pytest.mark.slow
def test_keypoints_in_bfloat16(call, capsys, tmp_path):
    root = coco_folder(tmp_path / "persons", keypoints=True)
    options = ("--epochs", "1", "--precision", "bf16-mixed", "--backbone", "keypointrcnn_tiny_nl4")
    call("train", "coco-keypointrcnn-tiny", "--data", root, "--out", tmp_path / "run", *SMALL, *options)
    assert "val keypoint_AP" in capsys.readouterr().out
    call("evaluate", tmp_path / "run", "--data", root)
    assert "keypoints AP" in capsys.readouterr().out
