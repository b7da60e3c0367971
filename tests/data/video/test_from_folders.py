"""Clips of class folders and of single files: their splits, and what is left out and reported."""

import pytest

pytest.importorskip("av")

from names import NAMES

from wholeframe.data.video.clip_folder import open_clips


def names(segments):
    return [segment.path.name for segment in segments]


def test_split_by_folders(videos):
    root = videos("train/cat/1.mp4", "train/dog/2.mp4", "val/cat/3.mp4", "val/dog/deep/4.mp4")
    clips = open_clips(root)
    assert clips.classes == ("cat", "dog")
    assert names(clips.train) == ["1.mp4", "2.mp4"]
    assert names(clips.val) == ["3.mp4", "4.mp4"]
    assert [segment.labels for segment in clips.val] == [(0,), (1,)]
    assert not clips.multilabel
    assert str(clips) == "2 train and 2 val clips of 2 classes (split by the folders train/ and val/)"
    videos("test/dog/5.mp4")
    clips = open_clips(root)
    assert names(clips.val) == ["3.mp4", "4.mp4"] and names(clips.test) == ["5.mp4"]
    assert str(clips) == (
        "2 train, 2 val and 1 test clips of 2 classes (split by the folders train/, val/ and test/); "
        "no test clip of 'cat'"
    )


def test_a_test_folder_without_labels_is_not_read_and_says_so(videos):
    root = videos("train/cat/1.mp4", "train/dog/2.mp4", "val/cat/3.mp4", "val/dog/4.mp4", "test/5.mp4")
    clips = open_clips(root)
    assert clips.test == () and str(clips).endswith("(split by the folders train/ and val/); not read: test/")


def test_a_test_folder_alone_is_validated_on_and_says_so(videos):
    clips = open_clips(videos("train/cat/1.mp4", "train/dog/2.mp4", "test/cat/3.mp4", "test/dog/4.mp4"))
    assert names(clips.val) == ["3.mp4", "4.mp4"] and clips.test == ()
    assert str(clips).endswith("validated on test/: the best checkpoint is then chosen on it")


def test_hold_out_is_stable(videos):
    root = videos(*(f"cat/{n}.mp4" for n in range(5)), *(f"dog/{n}.mp4" for n in range(5)))
    clips = open_clips(root, seed=1)
    assert len(clips.train) == 8
    assert len(clips.val) == 2
    assert {segment.path for segment in clips.train}.isdisjoint(segment.path for segment in clips.val)
    assert open_clips(root, seed=1) == clips
    assert "val_fraction=0.2 of each class held out, seed=1" in str(clips)


def test_a_class_with_one_clip_is_in_both_splits_and_says_so(videos):
    clips = open_clips(videos("cat/1.mp4", "dog/2.mp4", "dog/3.mp4"))
    assert names(clips.train)[0] == names(clips.val)[0] == "1.mp4"
    assert "trained and validated on the only clip of 'cat'" in str(clips)


def test_files_that_are_classes(videos):
    root = videos("again.mkv", "bird.mkv")
    (root / "README").write_text("hello")
    clips = open_clips(root)
    assert clips.classes == ("again", "bird")
    assert clips.train == clips.val
    assert "each file is a class of its own: trained and validated on the same clips" in str(clips)
    assert str(clips).endswith("ignored: README")


def test_broken_files_are_named_and_left_out(videos):
    root = videos("cat/1.mp4", "cat/2.mp4", "cat/bad.mp4", "dog/3.mp4", "dog/4.mp4", "dog/half.avi")
    (root / "cat" / "bad.mp4").write_bytes(b"")
    (root / "dog" / "notes.txt").write_text("hello")
    half = root / "dog" / "half.avi"
    half.write_text("no film")
    clips = open_clips(root)
    assert len(clips.train) + len(clips.val) == 4
    assert "2 skipped: 'cat/bad.mp4' (the file is empty), 'dog/half.avi' (Invalid data" in str(clips)
    assert "ignored: dog/notes.txt" in str(clips)
    with pytest.raises(ValueError, match=r"2 that cannot be used: 'cat/bad.mp4' .*strict=False"):
        open_clips(root, strict=True)
    (root / "cat" / "1.mp4").write_bytes(b"")
    (root / "cat" / "2.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no video that can be used in '.*cat'.*the file is empty"):
        open_clips(root)


def test_truncated_files_are_used_up_to_the_missing_end(tmp_path, make_video, videos):
    root = videos("cat/1.mp4", "dog/2.mp4")
    file = make_video(root / "dog" / "2.mkv", 400)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert "1 truncated file used up to the missing end: '2.mkv' (" in str(open_clips(root))


def test_videos_by_content(videos):
    root = videos("cat/1.mp4", "cat/2.mp4", "dog/3.mp4", "dog/4.mp4")
    (root / "cat" / "2.mp4").rename(root / "cat" / "2.gif.part")
    (root / "dog" / "4.mp4").rename(root / "dog" / "no suffix")
    (root / "dog" / "notes.txt").write_text("words")
    clips = open_clips(root)
    assert len(clips.all) == 4 and clips.ignored == ("dog/notes.txt",)


def test_videos_that_are_not_in_a_class_folder_and_hidden_names_are_said(videos):
    root = videos("train/cat/1.mp4", "train/dog/2.mp4", "val/cat/3.mp4", "val/dog/4.mp4", "5.mp4", "val/6.mp4")
    videos("train/.cache/7.mp4", "train/dog/.8.mp4")
    clips = open_clips(root)
    assert str(clips).endswith(
        "; not read, since they lie outside the class folders: '5.mp4', 'val/6.mp4'; "
        "not read, since their names start with a dot: 'train/.cache', 'train/dog/.8.mp4'"
    )
    assert ("5.mp4", "they lie outside the class folders") in clips.left_out()


def test_unequal_classes_are_said(videos):
    root = videos(*(f"cat/{number}.mp4" for number in range(8)), "dog/1.mp4", "dog/2.mp4")
    assert "; the classes are unequal: 8 of 'cat' and 2 of 'dog' (train 6 and 1; val 2 and 1), so" in str(
        open_clips(root)
    )


@pytest.mark.parametrize("names", [("cat/1.mp4", "cat/2.mp4"), ("cat/1.mp4", "dog/2.mp4"), ("1.mp4", "2.mp4")])
def test_a_folder_as_a_whole(videos, names):
    clips = open_clips(videos(*names), val_fraction=None)
    assert not clips.divided and len(clips.all) == len(clips.train) == 2 and clips.val == ()
    assert "(not divided into splits)" in str(clips)


def test_files_of_one_name_are_classes_of_their_own(videos):
    assert open_clips(videos("a.mp4", "a.mkv", "b.mp4")).classes == ("a.mkv", "a.mp4", "b")


def test_no_file_can_be_used(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(ValueError, match=r"can be used: 'a.mp4' \(the file is empty\); repair or replace them"):
        open_clips(tmp_path)


def test_names_of_any_kind(videos):
    root = videos(*(f"{name}/{other}.mp4" for name, other in zip(NAMES, reversed(NAMES), strict=True)))
    for name in NAMES:
        (root / name / f"bad {name[:99]}.mp4").touch()
    clips = open_clips(root)
    assert set(clips.classes) == set(NAMES) and len(clips.train) == len(NAMES) == len(clips.problems)
    assert str(clips).isprintable() and str(clips).encode()
