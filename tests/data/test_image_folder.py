"""A folder of images: its splits, what is left out and reported, and the layouts that are refused."""

import os
import struct
import warnings
from collections import Counter
from pathlib import Path

import pytest
from names import NAMES
from PIL import Image

from wholeframe.data.image_folder import open_folder


def save(path: Path, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(path, **options)
    return path


def make_folder(root: Path, **classes: int) -> Path:
    for name, count in classes.items():
        for number in range(count):
            save(root / name / f"{number:03}.png")
    return root


def make_split(root: Path, train=("cat", "dog"), val=("cat", "dog"), val_name="val") -> Path:
    make_folder(root / "train", **dict.fromkeys(train, 2))
    make_folder(root / val_name, **dict.fromkeys(val, 1))
    return root


def names(items, root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path, _ in items]


# ------------------------------------------------------------------------------------------- the splits


@pytest.mark.parametrize("name", ["test", "val", "valid", "validation", "Testing"])
def test_folder_that_is_split(tmp_path, name):
    folder = open_folder(make_split(tmp_path, val_name=name))
    assert folder.classes == ("cat", "dog")
    assert names(folder.train, tmp_path) == [f"train/{n}/00{i}.png" for n in ("cat", "dog") for i in (0, 1)]
    assert [label for _, label in folder.train] == [0, 0, 1, 1]
    assert names(folder.val, tmp_path) == [f"{name}/cat/000.png", f"{name}/dog/000.png"]
    assert folder.test == ()
    said = f"4 train and 2 val images of 2 classes (split by the folders train/ and {name}/)"
    warning = f"; validated on {name}/: the best checkpoint is then chosen on it"
    assert folder.describe() == (said + warning if "est" in name else said)


def test_folder_may_be_a_string(tmp_path):
    assert len(open_folder(str(make_split(tmp_path))).train) == 4


def test_unlabelled_test_beside_labelled_val(tmp_path):
    make_split(tmp_path)
    save(tmp_path / "test" / "1.png")
    folder = open_folder(tmp_path)
    assert names(folder.val, tmp_path) == ["val/cat/000.png", "val/dog/000.png"]
    assert folder.unused == ("test/",)
    assert str(folder).endswith("; not read: test/")


def test_train_val_and_test(tmp_path):
    make_split(tmp_path)
    make_folder(tmp_path / "test", cat=3)
    (tmp_path / "test" / "cat" / "bad.png").touch()
    folder = open_folder(tmp_path)
    assert names(folder.val, tmp_path) == ["val/cat/000.png", "val/dog/000.png"]
    assert names(folder.test, tmp_path) == [f"test/cat/00{number}.png" for number in range(3)]
    assert str(folder) == (
        "4 train, 2 val and 3 test images of 2 classes (split by the folders train/, val/ and test/); 1 file skipped: "
        "'test/cat/bad.png' is not an image that can be decoded (the file is empty); no test image of 'dog'"
    )


def test_test_with_other_folders_than_classes_has_no_labels(tmp_path):
    make_split(tmp_path)
    save(tmp_path / "test" / "images" / "1.png")
    assert open_folder(tmp_path).test == () and open_folder(tmp_path).unused == ("test/",)


def test_val_without_class_folders_leaves_validation_to_test(tmp_path):
    save(make_split(tmp_path, val_name="test") / "val" / "1.png")
    folder = open_folder(tmp_path)
    assert names(folder.val, tmp_path) == ["test/cat/000.png", "test/dog/000.png"] and folder.test == ()
    assert str(folder).endswith("; not read: val/; validated on test/: the best checkpoint is then chosen on it")


@pytest.mark.parametrize("split", ["val", "test"])
def test_unknown_classes_among_known_ones(tmp_path, split):
    make_split(tmp_path)
    make_folder(tmp_path / "test", cat=1)
    save(tmp_path / split / "emu" / "1.png")
    assert f"{split}' has class folders that are not among those to train on: 'emu'" in refused(tmp_path)


def test_own_split_is_stratified_and_deterministic(tmp_path):
    root = make_folder(tmp_path, cat=9, dog=20, emu=2)
    folder = open_folder(root, val_fraction=0.3)
    assert Counter(label for _, label in folder.train) == {0: 6, 1: 14, 2: 1}
    assert Counter(label for _, label in folder.val) == {0: 3, 1: 6, 2: 1}
    assert not set(folder.train) & set(folder.val)
    assert open_folder(root, val_fraction=0.3) == folder
    assert open_folder(root, val_fraction=0.3, seed=1).val != folder.val
    assert "(val_fraction=0.3 of each class held out, seed=0)" in str(folder)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_own_split_leaves_no_class_without_images(tmp_path, fraction):
    folder = open_folder(make_folder(tmp_path, cat=3, dog=3), val_fraction=fraction)
    assert {label for _, label in folder.train} == {label for _, label in folder.val} == {0, 1}


def test_own_split_does_not_depend_on_the_file_system(tmp_path, monkeypatch):
    here = make_folder(tmp_path / "here", cat=9, dog=9)
    there = tmp_path / "there"
    for number in reversed(range(9)):
        save(there / "dog" / f"{number:03}.png")
        save(there / "cat" / f"{number:03}.png")
    expected = open_folder(here)
    listing, walk = Path.iterdir, os.walk
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(sorted(listing(path))))
    monkeypatch.setattr(
        os,
        "walk",
        lambda *args, **options: ((a, b, sorted(c, reverse=True)) for a, b, c in walk(*args, **options)),
    )
    moved = open_folder(there)
    assert names(moved.train, there) == names(expected.train, here)
    assert names(moved.val, there) == names(expected.val, here)


def test_own_split_is_this_one_on_every_machine(tmp_path):
    folder = open_folder(make_folder(tmp_path, cat=10, dog=5))
    assert names(folder.val, tmp_path) == ["cat/000.png", "cat/001.png", "dog/002.png"]


def test_a_new_image_moves_at_most_one_other(tmp_path):
    before = open_folder(make_folder(tmp_path, cat=20, dog=20))
    save(tmp_path / "cat" / "new.png")
    after = open_folder(tmp_path)
    moved = (set(before.val) ^ set(after.val)) - {(tmp_path / "cat" / "new.png", 0)}
    assert len(moved) <= 1


def test_which_files_are_read(tmp_path):
    root = make_folder(tmp_path, cat=2, dog=2)
    save(root / "cat" / "kittens" / "grey" / "a.PNG")
    for hidden in (".git/a.png", "cat/._000.png", "cat/.cache/a.png", "loose.png"):
        save(root / hidden)
    for other in ("cat/DATA.md", "cat/Thumbs.db", "dog/LICENSE", "dog/a.pdf", "README.md"):
        (root / other).write_text("words")
    folder = open_folder(root, val_fraction=0.5)
    found = sorted(names(folder.train + folder.val, root))
    assert found == ["cat/000.png", "cat/001.png", "cat/kittens/grey/a.PNG", "dog/000.png", "dog/001.png"]
    assert [path.as_posix() for path in folder.not_images] == [
        "cat/DATA.md",
        "cat/Thumbs.db",
        "dog/LICENSE",
        "dog/a.pdf",
    ]
    assert "; 4 files ignored as not images: .db, .md, .pdf, no extension" in str(folder)


def test_labels_are_sorted_as_torchvision_sorts_them(tmp_path):
    assert open_folder(make_folder(tmp_path, **{"10": 2, "2": 2, "A": 2, "a": 2})).classes == (
        "10",
        "2",
        "A",
        "a",
    )


def test_class_without_val_images_is_reported(tmp_path):
    folder = open_folder(make_split(tmp_path, train=("cat", "dog", "emu"), val=("dog",)))
    assert [label for _, label in folder.val] == [1]
    assert str(folder).endswith("; no val image of 'cat', 'emu'")


def test_images_by_content(tmp_path):
    root = make_folder(tmp_path, cat=2, dog=2)
    save(root / "cat" / "whole.jpg").rename(root / "cat" / "photo.dat")
    save(root / "dog" / "other.gif").rename(root / "dog" / "no_suffix")
    folder = open_folder(root)
    assert len(folder.all) == 6 and folder.not_images == ()
    assert str(folder).endswith("; 2 files read as images by their content: 'photo.dat', 'no_suffix'")


def test_images_that_are_not_in_a_class_folder_and_hidden_names_are_said(tmp_path):
    make_split(tmp_path)
    for name in ("loose.png", "train/a.jpg", "val/.b.png", ".thumbnails/c.png", "train/cat/.d.png"):
        save(tmp_path / name)
    (tmp_path / "README.md").write_text("words")
    folder = open_folder(tmp_path)
    outside, hidden = "they lie outside the class folders", "their names start with a dot"
    assert {path.as_posix(): why for path, why in folder.overlooked} == {
        "loose.png": outside,
        "train/a.jpg": outside,
        ".thumbnails": hidden,
        "train/cat/.d.png": hidden,
        "val/.b.png": hidden,
    }
    assert str(folder).endswith(
        f"; not read, since {outside}: 'loose.png', 'train/a.jpg'; "
        f"not read, since {hidden}: '.thumbnails', 'train/cat/.d.png', 'val/.b.png'"
    )


def test_everything_that_is_left_out_is_listed(tmp_path):
    make_split(tmp_path)
    for number in range(26):
        (tmp_path / "train" / "cat" / f"bad{number:02}.jpg").touch()
    (tmp_path / "train" / "cat" / "notes.txt").write_text("words")
    save(tmp_path / "loose.png")
    (tmp_path / "more").mkdir()
    left_out = open_folder(tmp_path).left_out()
    assert left_out[:26] == [(f"train/cat/bad{number:02}.jpg", "the file is empty") for number in range(26)]
    assert left_out[26:] == [
        ("train/cat/notes.txt", "it is not an image"),
        ("loose.png", "they lie outside the class folders"),
        ("more/", "it is not the folder of a split"),
    ]


def test_unequal_classes_are_said(tmp_path):
    root = make_folder(tmp_path, cat=40, dog=3, emu=20)
    assert str(open_folder(root)).endswith(
        "; the classes are unequal: 40 of 'cat' and 3 of 'dog' (train 32 and 2; val 8 and 1), so that an accuracy says "
        "little about the small ones"
    )
    assert "unequal" not in str(open_folder(make_folder(tmp_path / "equal", cat=9, dog=3)))


def test_a_folder_as_a_whole(tmp_path):
    root = make_folder(tmp_path / "photos", cat=3, dog=1)
    folder = open_folder(root, val_fraction=None)
    assert not folder.divided and folder.all == folder.train and folder.val == folder.test == ()
    assert str(folder) == "4 images of 2 classes (not divided into splits)"
    assert open_folder(make_folder(tmp_path / "one", cat=2), val_fraction=None).classes == ("cat",)
    split = open_folder(make_split(tmp_path / "split"), val_fraction=None)
    assert split.divided and len(split.all) == len(split.train) + len(split.val) == 6
    make_split(tmp_path / "high" / "pets")
    with pytest.raises(ValueError, match="Did you mean"):
        open_folder(tmp_path / "high", val_fraction=None)


def test_names_of_any_kind(tmp_path):
    for number, name in enumerate(NAMES):
        for other in range(2):
            save(tmp_path / name / f"{NAMES[number - other]}{other}.png")
        (tmp_path / name / f"bad {name[:99]}.png").touch()
        (tmp_path / name / f"bad {name[:99]}.t\nt").touch()
    folder = open_folder(tmp_path)
    assert set(folder.classes) == set(NAMES) and len(folder.train) == len(folder.val) == len(NAMES)
    said = str(folder)
    assert said.isprintable() and f"{len(NAMES)} files skipped" in said and said.encode()
    assert open_folder(tmp_path).val == folder.val


# ----------------------------------------------------------------------------------------- broken files


@pytest.fixture
def broken(tmp_path, truncate, bomb):
    """A split folder with five files that do not decode."""
    make_split(tmp_path)
    (tmp_path / "train" / "cat" / "words.jpg").write_text("words")
    (tmp_path / "train" / "dog" / "empty.png").touch()
    truncate(tmp_path / "val" / "dog" / "half.jpg")
    bomb(tmp_path / "val" / "dog" / "bomb.png", 50_000)
    (tmp_path / "val" / "dog" / "link.png").symlink_to(tmp_path / "gone.png")
    return tmp_path


def test_broken_files_are_left_out_and_named(broken):
    folder = open_folder(broken)
    assert len(folder.train) == 4 and len(folder.val) == 2
    reasons = {problem.path.as_posix(): problem.reason for problem in folder.problems}
    assert list(reasons) == [
        "train/cat/words.jpg",
        "train/dog/empty.png",
        "val/dog/bomb.png",
        "val/dog/half.jpg",
        "val/dog/link.png",
    ]
    assert reasons["train/cat/words.jpg"] == "cannot identify image file"
    assert reasons["train/dog/empty.png"] == "the file is empty"
    assert reasons["val/dog/half.jpg"].startswith("image file is truncated")
    assert "exceeds limit" in reasons["val/dog/bomb.png"]
    assert reasons["val/dog/link.png"] == "No such file or directory"
    assert (
        "; 5 files skipped: 'train/cat/words.jpg' is not an image that can be decoded "
        "(cannot identify image file), 'train/dog/empty.png'"
    ) in str(folder)


def test_a_long_list_says_how_many_more_there_are(tmp_path):
    make_split(tmp_path)
    for number in range(8):
        (tmp_path / "train" / "cat" / f"bad{number}.jpg").touch()
    folder = open_folder(tmp_path)
    assert len(folder.problems) == 8
    assert "bad4.jpg" in str(folder) and "bad5.jpg" not in str(folder) and str(folder).endswith(" and 3 more")


def test_strict_raises(broken):
    with pytest.raises(ValueError, match=r"has 5 files that cannot be used: 'train/cat/words\.jpg' is not"):
        open_folder(broken, strict=True)


def test_strict_accepts_whole_files(tmp_path):
    assert open_folder(make_split(tmp_path), strict=True).problems == ()


def test_a_warning_is_not_a_problem(tmp_path):
    damaged = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 65535)
    save(make_split(tmp_path) / "train" / "cat" / "a.jpg", exif=damaged)
    assert open_folder(tmp_path, strict=True).problems == ()


def test_opening_restores_the_filters_of_warnings(broken):
    before = list(warnings.filters)
    open_folder(broken)
    assert warnings.filters == before


# -------------------------------------------------------------------------------------- refused layouts


def refused(root: Path, error: type[Exception] = ValueError, **options) -> str:
    with pytest.raises(error) as caught:
        open_folder(root, **options)
    return str(caught.value)


def test_empty_root(tmp_path):
    message = refused(tmp_path)
    assert "has no class folders, and no images either" in message and "ROOT/cat" in message


def test_flat_root(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "DATA.md").write_text("words")
    assert "has no class folders, and 1 image directly in it" in refused(tmp_path)


def test_no_images_in_class_folders(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("words")
    assert "has class folders, but no image in any of them" in refused(tmp_path)


def test_one_class(tmp_path):
    message = refused(make_folder(tmp_path, cat=3))
    assert "has one class folder, 'cat', but needs at least two" in message and "mean" not in message


def test_one_folder_too_high(tmp_path):
    make_split(tmp_path / "pets")
    assert f"Did you mean '{tmp_path / 'pets'}', which has 'train', 'val'?" in refused(tmp_path)


@pytest.mark.parametrize("split", [False, True])
def test_class_without_images(tmp_path, split):
    root = make_split(tmp_path) if split else make_folder(tmp_path, cat=3, dog=3)
    dogs = root / "val" / "dog" if split else root / "dog"
    for image in dogs.iterdir():
        image.write_bytes(b"")
    message = refused(root)
    assert message.startswith(f"no image that can be used in '{dogs}'")
    assert "dog/000.png' is not an image that can be decoded (the file is empty)" in message


def test_empty_class_folder(tmp_path):
    root = make_folder(tmp_path, cat=2, dog=2)
    (root / "__MACOSX").mkdir()
    assert refused(root) == (
        f"no image that can be used in '{root / '__MACOSX'}'. Add images to the class folder, or remove it"
    )


def test_split_without_class_folders(tmp_path):
    save(tmp_path / "train" / "cat.1.png")
    save(tmp_path / "val" / "1.png")
    assert "train' has no class folders, and 1 image directly in it" in refused(tmp_path)


def test_val_without_class_folders(tmp_path):
    make_folder(tmp_path / "train", cat=2, dog=2)
    save(tmp_path / "val" / "1.png")
    assert "val' has no class folders" in refused(tmp_path)


def test_unknown_classes(tmp_path):
    message = refused(make_split(tmp_path, val=("cat", "Dog")))
    assert "val' has class folders that are not among those to train on: 'Dog'." in message
    assert "Those to train on are 'cat', 'dog'" in message


def test_one_image_cannot_be_split(tmp_path):
    message = refused(make_folder(tmp_path, cat=2, dog=1))
    assert message.startswith("class 'dog' has one image") and "dog/000.png" in message


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 20, float("nan")])
def test_fraction(tmp_path, fraction):
    message = refused(make_folder(tmp_path, cat=2, dog=2), val_fraction=fraction)
    assert message.startswith(f"val_fraction={fraction} is not between 0 and 1")
