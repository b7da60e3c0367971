"""Layouts of labelled videos: class folders, single files, Kinetics, Charades and one's own lists; nothing silent."""

import math

import pytest

pytest.importorskip("av")

from wholeframe.data.video.clip_folder import open_clips
from wholeframe.data.video.segments import Action


@pytest.fixture
def folder(tmp_path, make_video):
    """`folder("cat/1.mp4", "dog/2.mkv", count=50)`: videos of 2 seconds below `tmp_path / "videos"`."""
    first = make_video(tmp_path / "first.mp4", 50)

    def make(*names, count=50):
        for name in names:
            file = tmp_path / "videos" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if count == 50:
                file.write_bytes(first.read_bytes())
            else:
                make_video(file, count)
        return tmp_path / "videos"

    return make


def names(segments):
    return [segment.path.name for segment in segments]


def parts(segments):
    return [(segment.path.stem, segment.start, segment.end, segment.labels) for segment in segments]


# ------------------------------------------------------------------------------------- class folders


def test_split_by_folders(folder):
    root = folder("train/cat/1.mp4", "train/dog/2.mp4", "val/cat/3.mp4", "val/dog/deep/4.mp4")
    clips = open_clips(root)
    assert clips.classes == ("cat", "dog")
    assert names(clips.train) == ["1.mp4", "2.mp4"]
    assert names(clips.val) == ["3.mp4", "4.mp4"]
    assert [segment.labels for segment in clips.val] == [(0,), (1,)]
    assert not clips.multilabel
    assert str(clips) == "2 train and 2 val clips of 2 classes (split by the folders train/ and val/)"
    folder("test/dog/5.mp4")
    clips = open_clips(root)
    assert names(clips.val) == ["3.mp4", "4.mp4"] and names(clips.test) == ["5.mp4"]
    assert str(clips) == (
        "2 train, 2 val and 1 test clips of 2 classes (split by the folders train/, val/ and test/); "
        "no test clip of 'cat'"
    )


def test_a_test_folder_alone_is_validated_on_and_says_so(folder):
    clips = open_clips(folder("train/cat/1.mp4", "train/dog/2.mp4", "test/cat/3.mp4", "test/dog/4.mp4"))
    assert names(clips.val) == ["3.mp4", "4.mp4"] and clips.test == ()
    assert str(clips).endswith("validated on test/: the best checkpoint is then chosen on it")


def test_hold_out_is_stable(folder):
    root = folder(*(f"cat/{n}.mp4" for n in range(5)), *(f"dog/{n}.mp4" for n in range(5)))
    clips = open_clips(root, seed=1)
    assert len(clips.train) == 8
    assert len(clips.val) == 2
    assert {segment.path for segment in clips.train}.isdisjoint(segment.path for segment in clips.val)
    assert open_clips(root, seed=1) == clips
    assert "val_fraction=0.2 of each class held out, seed=1" in str(clips)


def test_a_class_with_one_clip_is_on_both_sides_and_says_so(folder):
    clips = open_clips(folder("cat/1.mp4", "dog/2.mp4", "dog/3.mp4"))
    assert names(clips.train)[0] == names(clips.val)[0] == "1.mp4"
    assert "trained and validated on the only clip of 'cat'" in str(clips)


def test_files_that_are_classes(folder):
    root = folder("again.mkv", "bird.mkv")
    (root / "README").write_text("hello")
    clips = open_clips(root)
    assert clips.classes == ("again", "bird")
    assert clips.train == clips.val
    assert "each file a class of its own: trained and validated on the same clips" in str(clips)
    assert str(clips).endswith("ignored: README")


def test_broken_files_are_named_and_left_out(folder):
    root = folder("cat/1.mp4", "cat/2.mp4", "cat/bad.mp4", "dog/3.mp4", "dog/4.mp4", "dog/half.avi")
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


def test_files_that_are_broken_off_are_used_up_to_there(tmp_path, make_video, folder):
    root = folder("cat/1.mp4", "dog/2.mp4")
    file = make_video(root / "dog" / "2.mkv", 400)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert "1 file broken off, used up to there: '2.mkv' (" in str(open_clips(root))


def test_refused_folders(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="there is no folder or list"):
        open_clips(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"0 class folders, and it takes two.(?s:.*)video,start_frame"):
        open_clips(tmp_path / "empty")
    root = folder("train/cat/1.mp4", "train/dog/2.mp4", "test/cow/3.mp4")
    with pytest.raises(ValueError, match="classes that are not trained on: 'cow'"):
        open_clips(root)
    with pytest.raises(ValueError, match="val_fraction=1 is not between"):
        open_clips(root, val_fraction=1)
    with pytest.raises(ValueError, match="has no list, and window=4"):
        open_clips(root, window=4)


# ------------------------------------------------------------------------------------------- Kinetics


def test_kinetics(tmp_path, folder):
    videos = folder("AAAAAAAAAAA_000010_000012.mp4", "x/BBBBBBBBBBB.mp4")
    folder("CCCCCCCCCCC.mp4", "DDDDDDDDDDD.mp4", count=250)  # 10 seconds
    lines = [
        "riding,AAAAAAAAAAA,10,12,train",  # named with its times: that part alone
        "lifting,BBBBBBBBBBB,30,32,train",  # not longer than the part: that part alone
        "riding,CCCCCCCCCCC,4,6,validate",  # the whole video
        "lifting,DDDDDDDDDDD,40,42,train",  # too short to hold it
        "lifting,EEEEEEEEEEE,0,10,train",
        "juggling,FFFFFFFFFFF,0,10,test",
        "lifting,CCCCCCCCCCC,0,2,test",
    ]
    header = "label,youtube_id,time_start,time_end,split"
    (tmp_path / "kinetics.csv").write_text("\n".join([header, *lines]))
    clips = open_clips(tmp_path / "kinetics.csv", videos=videos)
    assert clips.classes == ("juggling", "lifting", "riding")
    assert parts(clips.train) == [("AAAAAAAAAAA_000010_000012", None, None, (2,)), ("BBBBBBBBBBB", None, None, (1,))]
    assert parts(clips.val) == [("CCCCCCCCCCC", 4, 6, (2,))]
    assert "1 skipped: 'DDDDDDDDDDD' (it lasts 10.0 s, and 40 to 42 s is asked for)" in str(clips)
    assert parts(clips.test) == [("CCCCCCCCCCC", 0, 2, (1,))]
    assert str(clips).startswith("2 train, 1 val and 1 test clips of 3 classes (split by the list); ")
    assert "2 videos not there: 'EEEEEEEEEEE', 'FFFFFFFFFFF'" in str(clips)
    with pytest.raises(ValueError, match="'EEEEEEEEEEE' \\(not there\\)"):
        open_clips(tmp_path / "kinetics.csv", videos=videos, strict=True)
    lines[5:] = [",FFFFFFFFFFF,0,10,test", ",CCCCCCCCCCC,0,2,test"]
    (tmp_path / "kinetics.csv").write_text("\n".join([header, *lines]))
    clips = open_clips(tmp_path / "kinetics.csv", videos=videos)
    assert parts(clips.val) == [("CCCCCCCCCCC", 4, 6, (1,))] and clips.test == ()
    assert "1 video not there: 'EEEEEEEEEEE'" in str(clips)
    assert "not used: the split test, which has no labels" in str(clips)


# ------------------------------------------------------------------------------------------- Charades


def test_charades(folder):
    root = folder("A1B2C.mp4", "D3E4F.mp4", "G5H6I.mp4")
    header = "id,subject,actions,length"
    rows = ['A1B2C,X,"c092 0.50 1.00;c147 0.00 2.60",2.0', "D3E4F,Y,,2.0"]
    (root / "Charades_v1_train.csv").write_text("\n".join([header, *rows]))
    (root / "Charades_v1_test.csv").write_text("\n".join([header, "G5H6I,Z,c156 0.00 1.00,2.0"]))
    clips = open_clips(root)
    assert clips.multilabel
    assert len(clips.classes) == 157
    assert parts(clips.train) == [("A1B2C", 0, 2, (92, 147)), ("D3E4F", 0, 2, ())]
    assert clips.train[0].actions == (Action(92, 0.5, 1.0), Action(147, 0.0, 2.0))  # cut at the end of the video
    assert parts(clips.val) == [("G5H6I", 0, 2, (156,))] and clips.test == ()
    assert "validated on the split test: the best checkpoint is then chosen on it" in str(clips)
    (root / "Charades_v1_test.csv").write_text("\n".join([header, "G5H6I,Z,c156 0.00,2.0"]))
    with pytest.raises(ValueError, match=r"line 2: the action 'c156 0.00' is not a class, a start and an end"):
        open_clips(root)
    (root / "Charades_v1_test.csv").write_text("\n".join([header, "G5H6I,Z,c157 0.00 1.00,2.0"]))
    with pytest.raises(ValueError, match="gives 'G5H6I' the class 'c157', and there is no such class"):
        open_clips(root)


# --------------------------------------------------------------------------------------- one's own


def own_list(root, header, *rows, name="list.csv"):
    (root / name).write_text("\n".join([header, *rows]) + "\n")
    return root


def test_a_list_in_frames(folder):
    root = own_list(
        folder("v/a.mp4", "v/b.mp4"),
        "video,start_frame,end_frame,label,other",
        "v/a.mp4,0,25,walk,x",
        "v/a.mp4,20,50,sit,x",
        "v/b.mp4,10,30,walk,x",
    )
    clips = open_clips(root)
    assert clips.classes == ("sit", "walk")
    assert parts([*clips.train, *clips.val]) in (
        [("a", 0, 1, (1,)), ("a", 0.8, 2, (0,)), ("b", 0.4, 1.2, (1,))],
        [("b", 0.4, 1.2, (1,)), ("a", 0, 1, (1,)), ("a", 0.8, 2, (0,))],
    )
    assert {s.path for s in clips.train}.isdisjoint(s.path for s in clips.val)  # never one video on both sides
    assert "held out, seed=0: '" in str(clips)


def test_windows_have_the_labels_that_overlap(folder):
    root = own_list(
        folder("a.mp4", "b.mp4"),
        "video,start_time,end_time,label,split",
        "a,0,0.7,walk,train",
        "a,0.5,1.5,sit,train",
        "a,0.5,1.0,lie,train",
        "b,0,2,walk,test",
    )
    clips = open_clips(root, window=0.5)
    assert clips.multilabel
    assert parts(clips.train) == [
        ("a", 0, 0.5, (2,)),  # the others begin when it ends
        ("a", 0.5, 1.0, (0, 1, 2)),
        ("a", 1.0, 1.5, (1,)),
        ("a", 1.5, 2.0, ()),
    ]
    whole = open_clips(root, window=math.inf)
    assert parts(whole.train) == [("a", 0, 2, (0, 1, 2))]
    assert parts(open_clips(root, window=0.8).train)[-1][1:3] == (0.8, 2.0)  # the rest belongs to the last
    assert "split by the list" in str(clips)


def test_lists_that_need_a_word_more(folder):
    root = own_list(folder("a.mp4", "b.mp4"), "video,start,end,label", "a.mp4,0,25,x", "b.mp4,1,2,y")
    with pytest.raises(ValueError, match='give unit="frames" or unit="seconds"'):
        open_clips(root)
    clips = open_clips(root, unit="frames")
    assert sorted(parts([*clips.train, *clips.val])) == [("a", 0, 1, (0,)), ("b", 0.04, 0.08, (1,))]
    own_list(root, "video,label", "a.mp4,x", "a.mp4,y")
    with pytest.raises(ValueError, match=r"same part of 'a.mp4' both 'x' and 'y'.*window"):
        open_clips(root)
    assert open_clips(root, window=math.inf).train[0].labels == (0, 1)


def test_a_list_with_mistakes(folder):
    root = folder("a.mp4", "b.mp4", "sub/b.mp4")
    own_list(root, "video,start_time,end_time,label", "a.mp4,0,x,walk")
    with pytest.raises(ValueError, match=r"list.csv', line 2: end_time is 'x', and that is no number"):
        open_clips(root)
    own_list(root, "video,label", "b,walk")
    with pytest.raises(ValueError, match=r"'b' is the name of .* which of them"):
        open_clips(root)
    own_list(
        root,
        "video,start_time,end_time,label",
        "a.mp4,0,1,walk",
        "a.mp4,1,1,walk",
        "a.mp4,5,6,walk",
        "a.mp4,1,9,sit",
        "b.mp4,0,1,",
        "c.mp4,0,1,walk",
    )
    report = str(open_clips(root))
    assert "2 skipped: 'a.mp4' (its part from 1 to 1 s is none), 'a.mp4' (it lasts 2.0 s, and 5 to 6 s" in report
    assert "1 video not there: 'c.mp4'" in report
    assert "1 part would end after the video and was cut there: 'a.mp4'" in report
    assert "1 line without a label left out" in report
    own_list(root, "id,actions", "a,c000 0 1", name="other.csv")
    with pytest.raises(ValueError, match="lists of several kinds"):
        open_clips(root)
    own_list(root, "something,else", name="third.csv")
    with pytest.raises(ValueError, match="is no list of videos: its first line names none of"):
        open_clips(root / "third.csv")


def test_one_video_only(folder):
    root = own_list(folder("a.mp4"), "video,start_time,end_time,label", "a.mp4,0,1,walk", "a.mp4,1,2,sit")
    clips = open_clips(root)
    assert clips.train == clips.val
    assert "only one video: trained and validated on the same" in str(clips)


def test_a_window_is_not_lost_to_rounding(folder):
    """2.4 / 0.8 is a little less than 3 in floating point."""
    root = folder("1.mp4", "2.mp4", count=60)
    (root / "list.csv").write_text("video,start_time,end_time,label\n1.mp4,0,2.4,a\n2.mp4,0,2.4,a\n")
    clips = open_clips(root, window=0.8)
    assert [segment.end for segment in clips.train] == pytest.approx([0.8, 1.6, 2.4])
