"""`wholeframe predict` with a detector."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
import torch
from coco_folder import coco_folder
from PIL import Image

import wholeframe as wf
from wholeframe.commands import train
from wholeframe.data.images import read_image
from wholeframe.train.predict_objects import JOINTS, as_input


@pytest.fixture(scope="module")
def detector():
    """A detector with random weights, which finds objects with scores around 1/3 and 1/2."""
    torch.manual_seed(0)
    return wf.create_model("maskrcnn_tiny", num_classes=4).eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory, detector):
    file = tmp_path_factory.mktemp("weights") / "w.pt"
    torch.save(detector.state_dict(), file)
    return file


@pytest.fixture
def predict(call, capsys, weights):
    """`predict(...)`: what is printed by `wholeframe predict maskrcnn_tiny ...`."""

    def predict(*arguments):
        call("predict", "maskrcnn_tiny", *arguments, "--weights", weights)
        return " ".join(capsys.readouterr().out.replace("│", " ").split())

    return predict


def scores_of(detector, file):
    with torch.no_grad():
        return detector([as_input(read_image(file))])[0]["scores"]


def test_a_table_of_objects_from_the_score_on(predict, detector, photo):
    scores = scores_of(detector, photo)
    middle = float(scores[len(scores) // 2])
    told = predict(photo, "--score", repr(middle))
    kept = int((scores >= middle).sum())
    assert f"photo.jpg': {kept} objects (" in told and f", {len(scores) - kept} below {middle:g} left out" in told
    assert f"{float(scores[0]):.4f}" in told and "box: x1 y1 x2 y2" in told
    assert ("100 is the most that the detector gives" in told) == (len(scores) == 100)


def test_no_object(predict, detector, photo):
    best = float(scores_of(detector, photo)[0])
    told = predict(photo, "--score", "0.99")
    assert "photo.jpg': no object with a score of at least 0.99; the highest of" in told and f"is {best:.2f} (" in told
    assert "box" not in told


def test_a_picture_and_a_file_for_machines(predict, detector, photo, tmp_path):
    told = predict(photo, "-o", tmp_path / "deep" / "p.png", "--json", tmp_path / "a.json", "--score", "0.2")
    assert f"drawn in '{tmp_path}/deep/p.png', 10 times as large" in told and "box" not in told
    with Image.open(tmp_path / "deep" / "p.png") as picture:
        assert picture.size == (400, 200)
        drawn = np.asarray(picture.convert("RGB")).astype(int)
    assert abs(drawn - np.asarray(read_image(photo).resize((400, 200), Image.Resampling.NEAREST))).max() > 50
    (image,) = json.loads((tmp_path / "a.json").read_text())
    scores = scores_of(detector, photo)
    assert [d["score"] for d in image["detections"]] == pytest.approx(scores.tolist())
    assert f"{len(scores)} objects with scores from 0.05 on saved in '{tmp_path}/a.json'" in told
    assert all({"class", "score", "box", "mask"} == set(detection) for detection in image["detections"])


def test_boxes_are_in_the_photograph_as_it_is_turned(predict, photo, tmp_path):
    """A photograph with the orientation of a camera that is held upright: 40 x 20 pixels are shown as 20 x 40."""
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(photo) as image:
        image.save(tmp_path / "turned.png", exif=exif)
    predict(tmp_path / "turned.png", "--json", tmp_path / "a.json")
    (image,) = json.loads((tmp_path / "a.json").read_text())
    assert (image["width"], image["height"]) == (20, 40)
    assert max(detection["box"][3] for detection in image["detections"]) > 21
    assert image["detections"][0]["mask"]["size"] == [40, 20]


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("mode", ["L", "CMYK", "I;16", "RGBA", "P", "1"])
def test_photographs_of_every_mode(predict, tmp_path, mode):
    name = "a.tif" if mode == "CMYK" else "a.png"
    pixels = Image.new("L", (9, 7), 90)
    (Image.fromarray(np.full((7, 9), 9000, np.uint16)) if mode == "I;16" else pixels.convert(mode)).save(
        tmp_path / name
    )
    assert f"{name}': " in predict(tmp_path / name)


def test_a_photograph_of_one_pixel(predict, tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "a.png")
    assert "400 times as large" in predict(tmp_path / "a.png", "-o", tmp_path / "p.png", "--score", "0.2")


@pytest.mark.slow
def test_several_photographs_have_a_picture_each(predict, photos, tmp_path):
    files = (photos / "cat" / "00.png", photos / "dog" / "00.png")
    predict(*files, "-o", tmp_path / "p.png")
    assert sorted(file.name for file in tmp_path.glob("*.png")) == ["p-1.png", "p-2.png"]
    told = predict(*files, "-o", tmp_path / "folder")
    assert sorted(file.name for file in (tmp_path / "folder").iterdir()) == ["00-2.png", "00.png"]
    assert "dog/00.png': " in told and f"drawn in '{tmp_path}/folder/00-2.png'" in told


def test_no_photograph_is_replaced(refused, weights, photos, tmp_path):
    given = ("--weights", weights)
    one, two = (shutil.copy(photos / "cat" / f"0{k}.png", tmp_path / f"a-{k + 1}.png") for k in range(2))
    before = one.read_bytes()
    os.link(one, tmp_path / "same.png")
    assert "would replace '" in refused("predict", "maskrcnn_tiny", one, "-o", one, *given)
    for out in (tmp_path / "same.png",):
        assert "would replace the photograph" in refused("predict", "maskrcnn_tiny", one, "-o", out, *given)
    assert "would replace the photograph" in refused(
        "predict", "maskrcnn_tiny", one, two, "-o", tmp_path / "a.png", *given
    )
    told = refused("predict", "maskrcnn_tiny", one, "-o", tmp_path, *given)
    assert "has photographs, such as 'a-1.png', which a picture could replace; give -o another folder" in told
    assert one.read_bytes() == before


def test_one_broken_file_does_not_take_the_answers_of_the_others(call, capsys, weights, photo, tmp_path):
    (tmp_path / "broken.jpg").write_text("this is text")
    with pytest.raises(SystemExit) as end:
        call("predict", "maskrcnn_tiny", tmp_path / "broken.jpg", photo, "--weights", weights, "-o", tmp_path / "a.csv")
    told = capsys.readouterr()
    assert end.value.code == 1 and f"1 of 2 have no answer: '{tmp_path}/broken.jpg' is not an image" in told.err
    assert "a CSV has no masks and keypoints, .json has them" in told.out
    with (tmp_path / "a.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["class"] == "not read" and {row["file"] for row in rows[1:]} == {str(photo)}
    with pytest.raises(SystemExit) as end:
        call("predict", "maskrcnn_tiny", tmp_path / "broken.jpg", "--weights", weights)
    assert end.value.code == 2


def test_a_folder_of_photographs(predict, photos, tmp_path):
    for name in ("00.png", "01.png"):
        shutil.copy(photos / "cat" / name, tmp_path / name)
    told = predict(tmp_path, "-o", tmp_path / "a.jsonl")
    assert f"'{tmp_path}': 2 images" in told and len((tmp_path / "a.jsonl").read_text().splitlines()) == 2


def test_keypoints(call, capsys, photo, tmp_path):
    torch.manual_seed(0)
    torch.save(wf.create_model("keypointrcnn_tiny").state_dict(), tmp_path / "w.pt")
    out = ("-o", tmp_path / "p.png", "--json", tmp_path / "a.json")
    call("predict", "keypointrcnn_tiny", photo, "--weights", tmp_path / "w.pt", *out, "--score", "0")
    assert "(100 person)" in capsys.readouterr().out and (tmp_path / "p.png").is_file()
    (image,) = json.loads((tmp_path / "a.json").read_text())
    points = image["detections"][0]["keypoints"]
    assert list(points) == list(JOINTS) and all(0 <= x <= 40 and 0 <= y <= 20 for x, y, _ in points.values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--every", "2s"), "--every 2s applies to networks that classify, and this network detects objects; leave it"),
        (("--views", "10x3"), "--views 10x3 applies to networks that classify, and this network detects objects"),
        (("--features", "f.npy"), "--features f.npy applies to networks that classify"),
        (("--top", "3"), "--top 3 applies to networks that classify"),
        (("--score", "1.5"), "score must be from 0 to 1, got 1.5"),
        (("--score", "nan"), "score must be from 0 to 1, got nan"),
        (
            ("-o", "a.txt"),
            "objects are drawn as .png or into a folder, and saved as .json, .jsonl or .csv, got 'a.txt'",
        ),
        (("--json", "a.csv"), "--json is saved as .json or .jsonl, got 'a.csv'"),
        (("-o", "PHOTO/a.png"), "photo.jpg/a.png' cannot be written, because"),
    ],
)
def test_what_does_not_apply(refused, weights, photo, arguments, sentence):
    given = [argument.replace("PHOTO", str(photo)) for argument in arguments]
    assert sentence in refused("predict", "maskrcnn_tiny", photo, "--weights", weights, *given)


@pytest.mark.parametrize(("option", "value"), [("--score", "0.5"), ("--json", "a.json")])
def test_what_applies_to_detectors_alone(refused, run, photo, option, value):
    told = refused("predict", run, photo, option, value)
    assert f"{option} {value} applies to detectors, and this network classifies; leave it out" in told


def test_a_score_below_what_the_detector_gives(predict, photo):
    assert "the detector itself leaves out objects with scores below 0.05" in predict(photo, "--score", "0.01")


# -------------------------------------------------------------------------------------------------------------- a run


@pytest.fixture(scope="module")
def detector_run(tmp_path_factory):
    """A folder with images and, in `run`, a short training on them; its two classes have names that need care."""
    root = coco_folder(tmp_path_factory.mktemp("objects") / "data", val=2, classes=("red [bold]", "green\x1b"))
    options = ["--backbone", "maskrcnn_tiny_nl1", "--batch", "4", "--workers", "0", "--epochs", "2", "--size", "64"]
    train.main(["coco_maskrcnn_tiny_gc", "--data", str(root), "--out", str(root / "run"), *options])
    return root


@pytest.mark.slow
def test_a_run_finds_objects(call, capsys, detector_run, tmp_path):
    photo = detector_run / "val" / "1.png"
    scores = scores_of(wf.load_run(detector_run / "run"), photo)
    call(
        "predict", detector_run / "run", photo, "--score", "0", "-o", tmp_path / "p.png", "--json", tmp_path / "a.json"
    )
    told = capsys.readouterr().out
    (image,) = json.loads((tmp_path / "a.json").read_text())
    assert [detection["score"] for detection in image["detections"]] == pytest.approx(scores.tolist())
    assert {detection["class"] for detection in image["detections"]} <= {"red [bold]", "green\x1b"} and len(scores)
    assert "red [bold]" in told or "green\\x1b" in told
    assert "\x1b" not in told and (tmp_path / "p.png").is_file()


@pytest.mark.slow
def test_a_run_is_explained(call, capsys, detector_run, tmp_path):
    call("explain", detector_run / "run", detector_run / "val" / "1.png", "--query", 40, 55, "-o", tmp_path / "e.png")
    told = capsys.readouterr().out
    # 64 x 48 pixels are scaled to 85 x 64 and padded to 96 x 64. The centres of the cells are 16 pixels of these apart,
    # from that of the first pixel on, so that none of them is on the padding.
    assert told.startswith(f"{tmp_path}/e.png: NonLocal at backbone.body.layer3.0, query cell (3, 5)\n")
    with Image.open(tmp_path / "e.png") as picture:
        assert np.asarray(picture.convert("RGB")).std() > 10


@pytest.mark.slow
def test_weights_of_a_run(call, capsys, refused, detector_run):
    photo = detector_run / "val" / "1.png"
    run = detector_run / "run"
    call("predict", run, photo, "--weights", "best")
    call("predict", "maskrcnn_tiny_nl1", photo, "--weights", run, "--score", "0")
    assert "red [bold]" in capsys.readouterr().out
    told = refused("predict", run, photo, "--weights", "X")
    assert "weights='X' does not exist: a run has the weights last and best" in told
    told = refused("predict", run, photo, "--top", "2")
    assert "--top 2 applies to networks that classify, and this network detects objects" in told
