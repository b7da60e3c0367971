"""Train, evaluate, explain, from one end to the other; and everything that is refused on the way."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from wholeframe.commands import train
from wholeframe.train.run import Run


def test_a_run_is_left_behind(run, photos):
    files = {file.name for file in run.iterdir()}
    assert {"recipe.json", "environment.json", "metrics.csv", "last.ckpt", "best.ckpt"} <= files
    recipe = Run(run).recipe()
    assert (recipe.data.size, recipe.data.batch, recipe.schedule.epochs, recipe.model.block) == (16, 8, 2, "nl")
    assert json.loads(Run(run).environment_file.read_text())["data"] == str(photos)


def test_train_tells_what_it_found_and_what_it_made(call, capsys, photos, small, tmp_path):
    call("train", "small_nl", "--data", photos, "--out", tmp_path / "r", *small, "--block", "None", "--seed", 3)
    told = capsys.readouterr().out
    assert told.startswith("20 train and 4 val images of 2 classes (val_fraction=0.2 of each class held out, seed=3)")
    assert told.splitlines()[-1].startswith("val accuracy ") and f"the run is '{tmp_path}/r'" in told
    recipe = Run(tmp_path / "r").recipe()
    assert recipe.model.block is None and recipe.seed == 3


@pytest.mark.parametrize("weights", ["last", "best"])
def test_evaluate(call, capsys, run, photos, weights):
    call("evaluate", run, "--data", photos, "--weights", weights)
    told = capsys.readouterr().out
    assert "top-1 " in told and f" on 4 val images, weights {weights}" in told
    assert told.splitlines()[-1].endswith(f"confusion matrix are in '{run}/evaluations/{weights}-val'")
    assert " cat " in told and " dog " in told and "top-5" not in told


def test_evaluate_agrees_with_training(call, capsys, run, photos):
    call("evaluate", run, "--data", photos)
    top1 = capsys.readouterr().out.split("top-1 ")[1].split()[0]
    last = Run(run).metrics.read_text().strip().splitlines()[-1].split(",")
    header = Run(run).metrics.read_text().splitlines()[0].split(",")
    assert float(top1) == pytest.approx(float(last[header.index("val/accuracy")]), abs=1e-4)


@pytest.fixture
def split_photos(tmp_path, make_photos):
    """Photographs in train/, val/ and test/."""
    make_photos(tmp_path / "split" / "train", count=10)
    make_photos(tmp_path / "split" / "val", count=3)
    make_photos(tmp_path / "split" / "test", count=2)
    return tmp_path / "split"


@pytest.mark.slow
def test_evaluate_on_each_split(call, capsys, refused, run, photos, split_photos):
    for split, count in (("train", 20), ("val", 6), ("test", 4)):
        call("evaluate", run, "--data", split_photos, "--split", split)
        assert f" on {count} {split} images, weights last" in capsys.readouterr().out
        assert (run / "evaluations" / f"last-{split}-split" / "scores.csv").is_file()
    told = refused("evaluate", run, "--data", photos, "--split", "test")
    assert told == (
        f"wholeframe: '{photos}' has no test split; give --split val (a folder has a test split if it has train/, val/ "
        "and test/)"
    )


@pytest.mark.parametrize(("recipe", "offered"), [("digits", False), ("clips", True)])
def test_help_shows_the_options_of_the_data_of_the_recipe(call, capsys, recipe, offered):
    with pytest.raises(SystemExit):
        call("train", recipe, "--help")
    told = capsys.readouterr().out
    assert "--data DIR" in told and "--val-fraction" in told and "--strict" in told
    assert {option: option in told for option in ("--videos", "--unit", "--window", "--stride")} == dict.fromkeys(
        ("--videos", "--unit", "--window", "--stride"), offered
    )
    assert ("--area" in told) == (not offered)


def test_help_of_evaluate(call, capsys, run):
    with pytest.raises(SystemExit):
        call("evaluate", "--help")
    assert "--videos" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        call("evaluate", run, "--help")
    told = capsys.readouterr().out
    assert "--split" in told and "--videos" not in told


def test_evaluate_on_fewer_images_than_a_batch(call, capsys, run, tmp_path, make_photos):
    call("evaluate", run, "--data", make_photos(tmp_path / "few", count=2))
    assert "on all 4 images" in capsys.readouterr().out


def test_explain(call, capsys, run, photo, tmp_path):
    picture = tmp_path / "deep" / "picture.png"
    call("explain", run, photo, "--query", 19, 39, "-o", picture)
    # 20 x 40 pixels are shown to the network as 16 x 32, of which the block sees 2 x 4.
    assert capsys.readouterr().out.strip() == f"{picture}: NonLocal at stage3.5, query cell (1, 3)"
    with Image.open(picture) as image:
        assert image.format == "PNG" and len(image.convert("RGB").getcolors(1 << 24)) > 20


def test_a_finished_run_has_nothing_to_resume(call, capsys, run, photos, small):
    before = {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()}
    call("train", "small_nl", "--data", photos, "--out", run, *small, "--resume")
    assert f"all 2 epochs are trained already; the run is '{run}'" in capsys.readouterr().out
    assert {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()} == before


@pytest.mark.slow
def test_a_run_that_was_stopped_in_its_first_epoch_starts_anew(call, capsys, run, photos, small, tmp_path):
    for name in ("recipe.json", "environment.json", "samples.csv"):
        (tmp_path / "r").mkdir(exist_ok=True)
        shutil.copy(run / name, tmp_path / "r" / name)
    call("train", "small_nl", "--data", photos, "--out", tmp_path / "r", *small, "--resume")
    first, second = (Run(folder).network().state_dict() for folder in (run, tmp_path / "r"))
    assert all(torch.equal(first[key], second[key]) for key in first)


# ---------------------------------------------------------------------------------------------- broken images


@pytest.fixture
def with_broken(tmp_path, make_photos):
    photos = make_photos(tmp_path / "photos")
    (photos / "cat" / "broken.jpg").write_text("this is text")
    return photos


def test_a_broken_image_is_named_and_left_out(call, capsys, with_broken, small, tmp_path):
    call("train", "small_nl", "--data", with_broken, "--out", tmp_path / "r", "--tolerate", 0.05, *small)
    told = capsys.readouterr().out
    assert "20 train and 4 val images" in told
    assert f"everything that is not used is listed with its reason in '{tmp_path / 'r' / 'left_out.csv'}'" in told
    assert "cat/broken.jpg,cannot identify image file" in (tmp_path / "r" / "left_out.csv").read_text()
    at_the_end = told[told.index("left_out.csv") :]
    assert "1 of 25 images could not be read and are left out: 1 (cannot identify image file): 'cat/broken.jpg'" in (
        at_the_end
    )
    assert "1 file skipped: 'cat/broken.jpg' is not an image that can be decoded (cannot identify" in told
    assert Run(tmp_path / "r").epochs() == 2


def test_too_many_broken_images(refused, with_broken, small, tmp_path):
    told = refused("train", "small_nl", "--data", with_broken, "--out", tmp_path / "r", *small)
    assert "1 of 25 images of" in told and "more than the tolerated fraction 0.01" in told
    assert "give --tolerate 0.05 to train without them" in told and not (tmp_path / "r" / "recipe.json").exists()


@pytest.mark.parametrize("command", ["train", "evaluate", "compare"])
def test_a_broken_image_under_strict(refused, with_broken, run, tmp_path, command):
    arguments = {
        "train": ("train", "small_nl", "--out", tmp_path / "r"),
        "evaluate": ("evaluate", run),
        "compare": ("compare", "--out", tmp_path / "r"),
    }[command]
    told = refused(*arguments, "--data", with_broken, "--strict")
    assert "has 1 file that cannot be used: 'cat/broken.jpg' is not an image" in told
    assert not (tmp_path / "r").exists()


# --------------------------------------------------------------------------------------------------- refusals


@pytest.mark.slow_beyond(4)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--block", "nll"), "wholeframe: there is no block 'nll'; the nearest are nl"),
        (
            ("--backbone", "resnet81"),
            "wholeframe: neither torchvision nor timm has a model 'resnet81'; the nearest are resn",
        ),
        (("--at", "stage9"), "wholeframe: at='stage9' matches no module"),
        (("--size", 0), "size must be at least 1, got 0 (224 is usual)"),
        (("--batch", 21), "has 20 training images, fewer than one batch of 21; give --batch 10 or less"),
        (("--batch", 0), "batch must be at least 1, got 0 (32 is usual)"),
        (("--epochs", 0), "epochs must be at least 1, got 0 (20 is usual)"),
        (("--workers", -1), "workers must be at least 0, got -1"),
        (("--lr", -1), "lr must be a positive number, got -1"),
        (("--lr", "nan"), "lr must be a positive number, got nan"),
        (("--area", 2), "area"),
        (("--shorter", 8), "shorter=8"),
        (("--labels", "many"), "labels='many' does not apply to a folder of images"),
        (("--unit", "frames"), "Unrecognized options: --unit"),
        (
            ("--backbone", "resnet18", "--weights", "X"),
            "wholeframe: weights='X' is not one of 'IMAGENET1K_V1', 'DEFAULT'",
        ),
        (("--val-fraction", 2), "val_fraction must lie between 0 and 1, got 2"),
        (("--epoch", 3), "--epoch"),
    ],
)
def test_a_recipe_that_cannot_be_trained(refused, photos, small, tmp_path, arguments, sentence):
    assert sentence in refused("train", "small_nl", "--data", photos, "--out", tmp_path / "r", *small, *arguments)
    assert not (tmp_path / "r").exists(), "nothing is left behind that would be in the way of the next try"


def test_an_unknown_recipe(refused):
    assert refused("train", "digit") == "wholeframe: there is no recipe 'digit'; the nearest are digits"


def test_missing_options(refused):
    assert "--data" in refused("train", "digits", "--out", "r") and "--out" in refused("train", "digits", "--data", "d")


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_missing_data_folder(refused, run, tmp_path, command):
    arguments = {"train": ("train", "digits", "--out", tmp_path / "r"), "evaluate": ("evaluate", run)}[command]
    assert "wholeframe: there is no folder 'nowhere'. Expected" in refused(*arguments, "--data", "nowhere")
    assert not (tmp_path / "r").exists()


def test_out_that_is_a_file(refused, photos, photo, small):
    told = refused("train", "small_nl", "--data", photos, "--out", photo, *small)
    assert told == f"wholeframe: '{photo}' is a file, and the results are written to a folder; give another --out"


def test_an_existing_run_is_not_written_over(refused, run, photos, small):
    before = {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()}
    told = refused("train", "small_nl", "--data", photos, "--out", run, *small)
    assert told == f"wholeframe: '{run}' already holds a run; give --resume to continue it, or another --out"
    assert {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()} == before


def test_nothing_to_resume(refused, photos, small, tmp_path):
    told = refused("train", "small_nl", "--data", photos, "--out", tmp_path / "r", *small, "--resume")
    assert told == f"wholeframe: there is no run to resume in '{tmp_path}/r'; leave --resume out to start one"


def test_resume_with_other_options(refused, run, photos, small):
    changes = ("--lr", 0.5, "--epochs", 9, "--at", "stage2")
    told = refused("train", "small_nl", "--data", photos, "--out", run, *small, *changes, "--resume")
    assert "was started with another recipe (" in told and "resume it with the options it was started with" in told
    for change in (
        "model.at was ('stage3',) and is now ('stage2',)",
        "schedule.epochs was 2 and is now 9",
        "schedule.lr was 0.004 and is now 0.5",
    ):
        assert change in told
    assert "seed" not in told.split("recipe (")[1]


@pytest.fixture
def other_classes(tmp_path, make_photos):
    return make_photos(tmp_path / "birds", ("crow", "duck"))


def test_resume_with_other_classes(refused, run, other_classes, small):
    told = refused("train", "small_nl", "--data", other_classes, "--out", run, *small, "--resume")
    assert f"has the classes 'cat', 'dog', but '{other_classes}' has 'crow', 'duck'" in told


def test_evaluate_with_other_classes(refused, run, other_classes):
    told = refused("evaluate", run, "--data", other_classes)
    assert told == (
        "wholeframe: the run was trained on the classes 'cat', 'dog', and the data also has 'crow', 'duck'; rename or "
        "remove these"
    )


def test_a_folder_that_is_no_run(refused, photos, photo, tmp_path):
    sentence = f"wholeframe: '{photos}' is not a run folder: it has no recipe.json; "
    assert refused("evaluate", photos, "--data", photos).startswith(sentence)
    assert refused("explain", photos, photo, "--query", 0, 0, "-o", tmp_path / "a.png").startswith(sentence)
    assert "'nowhere' is not a run folder" in refused("evaluate", "nowhere", "--data", photos)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("content", [b"hello world", b""])
def test_a_damaged_checkpoint(refused, run, photos, photo, small, tmp_path, content):
    damaged = tmp_path / "r"
    shutil.copytree(run, damaged)
    (damaged / "last.ckpt").write_bytes(content)
    sentence = f"wholeframe: '{damaged}/last.ckpt' is not a checkpoint, or is damaged"
    assert refused("evaluate", damaged, "--data", photos).startswith(sentence)
    assert refused("explain", damaged, photo, "--query", 0, 0, "-o", tmp_path / "a.png").startswith(sentence)
    assert sentence in refused("train", "small_nl", "--data", photos, "--out", damaged, *small, "--resume")
    assert not (tmp_path / "a.png").exists()


def test_a_run_without_a_checkpoint(refused, run, photos, tmp_path):
    shutil.copytree(run, tmp_path / "r", ignore=shutil.ignore_patterns("*.ckpt"))
    told = refused("evaluate", tmp_path / "r", "--data", photos)
    assert "there is no checkpoint" in told and "the run may have been stopped before its first epoch ended" in told


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(("y", "x"), [(20, 0), (0, 40), (99, 99)])
def test_a_query_outside_the_photograph(refused, run, photo, tmp_path, y, x):
    told = refused("explain", run, photo, "--query", y, x, "-o", tmp_path / "a.png")
    assert told.startswith(f"wholeframe: '{photo}': the query y={y} x={x} lies outside the image of 20 x 40 pixels")


def test_photographs_that_are_none(refused, run, tmp_path):
    text = tmp_path / "text.jpg"
    text.write_text("this is text")
    options = ("--query", 0, 0, "-o", tmp_path / "a.png")
    told = refused("explain", run, text, *options)
    assert told == f"wholeframe: '{text}' is not an image that can be decoded (cannot identify image file)"
    assert refused("explain", run, "none.jpg", *options) == "wholeframe: there is no file 'none.jpg'"
    assert "is not an image that can be decoded" in refused("explain", run, tmp_path, *options)


def test_a_site_without_a_block(refused, run, photo, tmp_path):
    told = refused("explain", run, photo, "--query", 0, 0, "-o", tmp_path / "a.png", "--site", "stage1")
    assert told == "wholeframe: there is no block at 'stage1'; there are stage3.5; did you mean 'stage3.5'?"


def test_a_picture_that_cannot_be_written(refused, run, photo, tmp_path):
    for name in ("a", "a.jpg"):
        told = refused("explain", run, photo, "--query", 0, 0, "-o", tmp_path / name)
        assert told.startswith("wholeframe: a picture is written as PNG") and told.endswith(f"give -o {tmp_path}/a.png")
    (tmp_path / "a.png").mkdir()
    assert "Is a directory" in refused("explain", run, photo, "--query", 0, 0, "-o", tmp_path / "a.png")


def test_block_options_reach_the_block(tmp_path):
    arguments = ["digits", "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--block", "gc", "--block-options"]
    options = train.parse([*arguments, "ratio=0.25", "fusion=multiply", "hidden=None"])
    assert options.recipe.model.options == {"ratio": 0.25, "fusion": "multiply", "hidden": None}
    with pytest.raises(ValueError, match="takes NAME=VALUE"):
        train.parse([*arguments, "ratio"])


def test_weights_of_a_file_are_initial_weights(run, tmp_path):
    options = ["small_nl", "--data", str(tmp_path), "--out", str(tmp_path / "r")]
    parsed = train.parse([*options, "--weights", str(run / "last.ckpt")])
    assert parsed == train.parse([*options, "--start", str(run / "last.ckpt")])
    assert train.parse([*options, "--weights", "nowhere.pt"]).start == Path("nowhere.pt")
    named = train.parse(["r18_gc", *options[1:], "--weights", "DEFAULT"])
    assert named.start is None and named.recipe.model.weights == "DEFAULT"
    with pytest.raises(ValueError, match=r"both give the initial weights"):
        train.parse([*options, "--weights", "a.pt", "--start", "b.pt"])
