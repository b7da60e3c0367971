"""Folders of class folders: which are for training, validation and testing, and which files are in them."""

from pathlib import Path

import pytest

from wholeframe.data.class_folders import (
    SplitFolders,
    expected_layout,
    files_by_class,
    find_splits,
    hidden_below,
    loose_files,
)

LAYOUT = expected_layout("jpg")


def make(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


TRAIN = ("train/cat/1", "train/dog/2")


def refused(root: Path, error: type[Exception] = ValueError) -> str:
    with pytest.raises(error) as caught:
        find_splits(root, LAYOUT)
    assert str(caught.value).endswith(LAYOUT)
    return str(caught.value)


@pytest.mark.parametrize("name", ["val", "Valid", "validation"])
@pytest.mark.parametrize("train", ["train", "Training"])
def test_names_of_the_splits(tmp_path, train, name):
    make(tmp_path, f"{train}/cat/1", f"{name}/cat/2", "test/cat/3")
    splits = find_splits(tmp_path, LAYOUT)
    assert splits == (tmp_path / train, tmp_path / name, tmp_path / "test")
    assert str(splits) == f"split by the folders {train}/, {name}/ and test/"
    assert splits.notes == ()


@pytest.mark.parametrize("name", ["test", "Testing"])
def test_a_test_folder_alone_is_validated_on(tmp_path, name):
    splits = find_splits(make(tmp_path, *TRAIN, f"{name}/cat/3"), LAYOUT)
    assert splits == (tmp_path / "train", tmp_path / name, None)
    assert splits.notes == (f"validated on {name}/: the best checkpoint is then chosen on it",)


@pytest.mark.parametrize("file", ["test/3", "test/images/3", "test/.cat/3"])
def test_a_test_folder_without_class_folders_has_no_labels(tmp_path, file):
    assert find_splits(make(tmp_path, *TRAIN, "val/cat/3", file), LAYOUT).test is None


def test_the_first_folder_with_class_folders_is_validated_on(tmp_path):
    make(tmp_path, *TRAIN, "val/3", "valid/cat/3", "test/cat/4", "testing/cat/5")
    assert find_splits(tmp_path, LAYOUT)[1:] == (tmp_path / "valid", tmp_path / "test")


def test_without_folders_of_splits_the_root_is_trained_on(tmp_path):
    assert find_splits(make(tmp_path, "cat/1", "dog/2"), LAYOUT) == SplitFolders(tmp_path)


def test_missing_root(tmp_path):
    message = refused(tmp_path / "gone", FileNotFoundError)
    assert message.startswith(f"there is no folder '{tmp_path / 'gone'}'") and "ROOT/train/cat" in message


def test_root_is_a_file(tmp_path):
    message = refused(make(tmp_path, "a.png") / "a.png", NotADirectoryError)
    assert "a.png' is a file, not a folder" in message and "ROOT/cat/1.jpg" in message


def test_train_without_val(tmp_path):
    message = refused(make(tmp_path, *TRAIN))
    assert "has train/, but no val/, valid/ or test/ to validate on" in message
    assert f"open '{tmp_path / 'train'}' instead" in message and "ROOT/val/cat" in message


def test_val_without_train(tmp_path):
    assert "has val/, but no train/ to train on" in refused(make(tmp_path, "val/cat/1", "test/cat/2"))


def test_files_of_each_class(tmp_path):
    make(tmp_path, "cat/b", "cat/kittens/a", "cat/.hidden", "cat/.git/a", ".git/a", "loose", "dog/c")
    assert files_by_class(tmp_path) == {
        "cat": [tmp_path / "cat" / "b", tmp_path / "cat" / "kittens" / "a"],
        "dog": [tmp_path / "dog" / "c"],
    }
    assert files_by_class(None) == {}


def test_links_are_followed_once(tmp_path):
    root = make(tmp_path / "root", "cat/1", "cat/2", "dog/1", "dog/2")
    make(tmp_path / "elsewhere", "3", "4", "5")
    (root / "cat" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "dog" / "again").symlink_to(root / "dog", target_is_directory=True)
    assert {name: len(files) for name, files in files_by_class(root).items()} == {"cat": 5, "dog": 2}


def test_hidden_and_loose_files(tmp_path):
    for name in ("train/cat/1.x", "train/.a.x", "train/loose.x", "val/cat/.b/c.x", "loose.x", ".git/d.x", "more/e.x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "train" / "cat" / "up").symlink_to(tmp_path)
    splits = SplitFolders(tmp_path / "train", tmp_path / "val")
    assert [path.relative_to(tmp_path).as_posix() for path in hidden_below(tmp_path)] == [
        ".git",
        "train/.a.x",
        "val/cat/.b",
    ]
    assert loose_files(splits, tmp_path) == [tmp_path / "loose.x", tmp_path / "train" / "loose.x"]


def test_a_folder_that_is_one_sample_is_not_entered(tmp_path):
    for name in ("cat/one/1.x", "cat/deep/two/1.x", "cat/deep/3.x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = files_by_class(tmp_path, lambda folder: folder.name in ("one", "two"))["cat"]
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["cat/deep/3.x", "cat/deep/two", "cat/one"]
