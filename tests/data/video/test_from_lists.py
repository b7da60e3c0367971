"""Clips of lists in the formats of Kinetics and Charades, and of your own; everything left out is reported."""

import math

import pytest

pytest.importorskip("av")

from PIL import Image

from wholeframe.data.video.clip_folder import open_clips
from wholeframe.data.video.segments import Action


def parts(segments):
    return [(segment.path.stem, segment.start, segment.end, segment.labels) for segment in segments]


# --------------------------------------------------------------------------------------------- Kinetics


def test_kinetics(tmp_path, videos, write_list):
    root = videos("AAAAAAAAAAA_000010_000012.mp4", "x/BBBBBBBBBBB.mp4")
    videos("CCCCCCCCCCC.mp4", "DDDDDDDDDDD.mp4", count=250)  # 10 seconds
    header = "label,youtube_id,time_start,time_end,split"
    rows = [
        "riding,AAAAAAAAAAA,10,12,train",  # The file is named with the times: the part alone.
        "lifting,BBBBBBBBBBB,30,32,train",  # The file is not longer than the part: the part alone.
        "riding,CCCCCCCCCCC,4,6,validate",  # The whole video.
        "lifting,DDDDDDDDDDD,40,42,train",  # The video is too short.
        "lifting,EEEEEEEEEEE,0,10,train",
    ]
    test = ["juggling,FFFFFFFFFFF,0,10,test", "lifting,CCCCCCCCCCC,0,2,test"]
    write_list(tmp_path, header, *rows, *test)
    clips = open_clips(tmp_path / "list.csv", videos=root)
    assert clips.classes == ("juggling", "lifting", "riding")
    assert parts(clips.train) == [("AAAAAAAAAAA_000010_000012", None, None, (2,)), ("BBBBBBBBBBB", None, None, (1,))]
    assert parts(clips.val) == [("CCCCCCCCCCC", 4, 6, (2,))]
    assert parts(clips.test) == [("CCCCCCCCCCC", 0, 2, (1,))]
    assert str(clips).startswith("2 train, 1 val and 1 test clips of 3 classes (split by the list); ")
    assert "1 skipped: 'DDDDDDDDDDD' (it lasts 10.0 s, but the list gives 40 to 42 s)" in str(clips)
    assert "2 videos not there: 'EEEEEEEEEEE', 'FFFFFFFFFFF'" in str(clips)
    with pytest.raises(ValueError, match=r"has 3 that cannot be used: .*'EEEEEEEEEEE' \(not there\)"):
        open_clips(tmp_path / "list.csv", videos=root, strict=True)


def test_a_test_split_without_labels_is_not_used(tmp_path, videos, write_list):
    root = videos("a.mp4", "b.mp4", "c.mp4")
    rows = ("a.mp4,x,train", "b.mp4,y,val", "c.mp4,,test", "d.mp4,,test")
    write_list(tmp_path, "video,label,split", *rows)
    clips = open_clips(tmp_path / "list.csv", videos=root)
    assert parts(clips.val) == [("b", None, None, (1,))] and clips.test == ()
    assert "not used: the split test, which has no labels" in str(clips)
    assert "not there" not in str(clips)


def test_a_test_split_alone_is_validated_on_and_says_so(tmp_path, videos, write_list):
    root = videos("a.mp4", "b.mp4")
    write_list(tmp_path, "video,label,split", "a.mp4,x,train", "b.mp4,x,test")
    clips = open_clips(tmp_path / "list.csv", videos=root)
    assert parts(clips.val) == [("b", None, None, (0,))] and clips.test == ()
    assert str(clips).endswith("validated on the split test: the best checkpoint is then chosen on it")


# --------------------------------------------------------------------------------------------- Charades


def test_charades(videos):
    root = videos("A1B2C.mp4", "D3E4F.mp4", "G5H6I.mp4")
    header = "id,subject,actions,length"
    rows = ['A1B2C,X,"c092 0.50 1.00;c147 0.00 2.60",2.0', "D3E4F,Y,,2.0"]
    (root / "Charades_v1_train.csv").write_text("\n".join([header, *rows]))
    (root / "Charades_v1_test.csv").write_text("\n".join([header, "G5H6I,Z,c156 0.00 1.00,2.0"]))
    clips = open_clips(root)
    assert clips.multilabel
    assert len(clips.classes) == 157
    assert parts(clips.train) == [("A1B2C", 0, 2, (92, 147)), ("D3E4F", 0, 2, ())]
    assert clips.train[0].actions == (Action(92, 0.5, 1.0), Action(147, 0.0, 2.0))  # Shortened to the end of the video.
    assert parts(clips.val) == [("G5H6I", 0, 2, (156,))] and clips.test == ()
    assert "validated on the split test: the best checkpoint is then chosen on it" in str(clips)
    (root / "Charades_v1_test.csv").write_text("\n".join([header, "G5H6I,Z,c157 0.00 1.00,2.0"]))
    with pytest.raises(ValueError, match="the class 'c157', which is not one of the 157 classes c000 to c156"):
        open_clips(root)


# ---------------------------------------------------------------------------------------- your own list


def test_a_list_in_frames(videos, write_list):
    root = write_list(
        videos("v/a.mp4", "v/b.mp4"),
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
    assert {s.path for s in clips.train}.isdisjoint(
        s.path for s in clips.val
    )  # Never parts of one video in both splits.
    assert "held out, seed=0: '" in str(clips)


def test_windows_have_the_labels_that_overlap(videos, write_list):
    root = write_list(
        videos("a.mp4", "b.mp4"),
        "video,start_time,end_time,label,split",
        "a,0,0.7,walk,train",
        "a,0.5,1.5,sit,train",
        "a,0.5,1.0,lie,train",
        "b,0,2,walk,test",
    )
    clips = open_clips(root, window=0.5)
    assert clips.multilabel
    assert parts(clips.train) == [
        ("a", 0, 0.5, (2,)),  # The others begin when it ends.
        ("a", 0.5, 1.0, (0, 1, 2)),
        ("a", 1.0, 1.5, (1,)),
        ("a", 1.5, 2.0, ()),
    ]
    whole = open_clips(root, window=math.inf)
    assert parts(whole.train) == [("a", 0, 2, (0, 1, 2))]
    assert parts(open_clips(root, window=0.8).train)[-1][1:3] == (0.8, 2.0)  # The rest belongs to the last window.
    assert "split by the list" in str(clips)


def test_several_labels_need_a_window(videos, write_list):
    root = write_list(videos("a.mp4", "b.mp4"), "video,label", "a.mp4,x", "a.mp4,y")
    with pytest.raises(ValueError, match=r"same part of 'a.mp4' both 'x' and 'y'.*window"):
        open_clips(root)
    assert open_clips(root, window=math.inf).train[0].labels == (0, 1)


def test_rows_that_cannot_be_used_are_left_out_and_named(videos, write_list):
    root = write_list(
        videos("a.mp4", "b.mp4"),
        "video,start_time,end_time,label",
        "a.mp4,0,1,walk",
        "a.mp4,1,1,walk",
        "a.mp4,5,6,walk",
        "a.mp4,1,9,sit",
        "b.mp4,0,1,",
        "c.mp4,0,1,walk",
    )
    report = str(open_clips(root))
    assert "2 skipped: 'a.mp4' (its part from 1 to 1 s is empty), 'a.mp4' (it lasts 2.0 s, but the list gives" in report
    assert "1 video not there: 'c.mp4'" in report
    assert "1 part shortened to the end of the video: 'a.mp4'" in report
    assert "1 line without a label left out" in report


def test_one_video_only(videos, write_list):
    root = write_list(videos("a.mp4"), "video,start_time,end_time,label", "a.mp4,0,1,walk", "a.mp4,1,2,sit")
    clips = open_clips(root)
    assert clips.train == clips.val
    assert "only one video: trained and validated on the same" in str(clips)


def test_a_window_is_not_lost_to_rounding(videos):
    """In floating point 2.4 / 0.8 is a little less than 3."""
    root = videos("1.mp4", "2.mp4", count=60)
    (root / "list.csv").write_text("video,start_time,end_time,label\n1.mp4,0,2.4,a\n2.mp4,0,2.4,a\n")
    clips = open_clips(root, window=0.8)
    assert [segment.end for segment in clips.train] == pytest.approx([0.8, 1.6, 2.4])


# --------------------------------------------------------------------------------------------- what is said


def test_videos_in_two_splits_are_pointed_out(videos, write_list):
    rows = ("a.mp4,0,1,x,train", "a.mp4,1,2,y,test", "b.mp4,0,1,y,train", "b.mp4,0,2,y,val", "c.mp4,0,1,x,test")
    root = write_list(videos("a.mp4", "b.mp4", "c.mp4"), "video,start_time,end_time,label,split", *rows)
    said = str(open_clips(root))
    assert "1 video in both train and val, whose scores are then too good: 'b.mp4'" in said
    assert "1 video in both train and test, whose scores are then too good: 'a.mp4'" in said
    assert "in both val and test" not in said


def test_lines_without_a_split_and_repeated_lines_are_said(videos, write_list):
    rows = ("a.mp4,x,", "b.mp4,y,train", "b.mp4,y,train", "c.mp4,x,val")
    root = write_list(videos("a.mp4", "b.mp4", "c.mp4"), "video,label,split", *rows)
    clips = open_clips(root)
    assert len(clips.train) == 3 and "; 1 line without a split used for training; 1 line repeated" in str(clips)
    assert "without a split" not in str(open_clips(write_list(root, "video,label", "a.mp4,x", "b.mp4,y")))


def test_unequal_classes_are_said(videos, write_list):
    rows = [
        f"{name}.mp4,{start},{start + 1},{label}"
        for name, start, label in [("a", 0, "x"), ("b", 0, "x"), ("c", 0, "x"), ("c", 1, "x"), ("a", 1, "y")]
    ]
    root = write_list(videos("a.mp4", "b.mp4", "c.mp4"), "video,start_time,end_time,label", *rows)
    assert "; the classes are unequal: 4 of 'x' and 1 of 'y' (train" in str(open_clips(root))


def test_what_cannot_be_read_is_listed_with_its_line(videos, write_list):
    rows = ("a.mp4,0,1,x", "a.mp4,-1,1,x", "broken.mp4,0,1,y", "gone.mp4,0,1,y", "b.mp4,0,1,y")
    root = write_list(videos("a.mp4", "b.mp4"), "video,start_time,end_time,label", *rows)
    (root / "broken.mp4").touch()
    (root / "other.csv").write_text("something,else\n")
    assert open_clips(root).left_out() == [
        ("broken.mp4 ('list.csv', line 4)", "the file is empty"),
        ("gone.mp4 ('list.csv', line 5)", "there is no such file"),
        ("a.mp4 ('list.csv', line 3)", "its part begins before the video, at -1 s"),
        ("other.csv", "it is not a video, or not a list of videos"),
    ]


def test_a_list_as_a_whole(videos, write_list):
    root = write_list(videos("a.mp4", "b.mp4"), "video,label", "a.mp4,x", "b.mp4,y")
    clips = open_clips(root, val_fraction=None)
    assert not clips.divided and len(clips.all) == len(clips.train) == 2 and clips.val == ()
    assert str(clips) == "2 clips of 2 classes (not divided into splits)"
    write_list(root, "video,label,split", "a.mp4,x,test", "b.mp4,y,test")
    assert open_clips(root, val_fraction=None).divided


# --------------------------------------------------------------------------------------- refused as a whole


def test_no_video_can_be_used(videos, write_list):
    root = write_list(videos("a.mp4"), "video,label", "x.mp4,walk", "y.mp4,sit")
    message = (
        r"none of the videos of '.*' can be used: 'x.mp4 \('list.csv', line 2\)' \(there is no such file\), .* They "
    )
    with pytest.raises(ValueError, match=message + "are looked for in '.*'; for another folder give --videos DIR"):
        open_clips(root)


def test_no_line_has_a_label(videos, write_list):
    with pytest.raises(ValueError, match=r"no line of '.*' has a label; write the class of each video into its line"):
        open_clips(write_list(videos("a.mp4"), "video,label", "a.mp4,"))


def test_contradicting_lines_are_given(videos, write_list):
    root = write_list(videos("a.mp4", "b.mp4"), "video,label", "b.mp4,x", "a.mp4,x", "a.mp4,y")
    with pytest.raises(ValueError, match=r"both 'x' and 'y' \('list.csv', line 3; 'list.csv', line 4\)"):
        open_clips(root)


# --------------------------------------------------------------------------------------- folders of frames


@pytest.fixture
def frames(tmp_path):
    """`frames("x", 5)`: a folder of frames below `tmp_path / "videos"`."""

    def make(name, count):
        folder = tmp_path / "videos" / name
        folder.mkdir(parents=True)
        for number in range(1, count + 1):
            Image.new("RGB", (48, 32), (10 * number, 0, 0)).save(folder / f"img_{number:05}.jpg")
        return tmp_path / "videos"

    return make


def test_folders_of_frames_of_mmaction2(frames):
    frames("x", 10)
    root = frames("y", 6)
    (root / "train_list.txt").write_text("x 8 1\ny 2 4 0\n")
    clips = open_clips(root, rate=10)
    assert clips.classes == ("0", "1")
    assert parts(sorted((*clips.train, *clips.val), key=lambda segment: segment.path)) == [
        ("x", 0, 0.8, (1,)),
        ("y", 0.2, 0.6, (0,)),
    ]
    with pytest.raises(ValueError, match="stores no frame rate; give it, such as rate=25"):
        open_clips(root)


def test_a_rate_in_the_list(frames, write_list):
    frames("x", 10)
    root = frames("y", 6)
    write_list(root, "video,label,fps", "x,a,10", "y,b,")
    infos = {segment.path.name: segment.info for segment in open_clips(root, rate=3, val_fraction=None).train}
    assert (infos["x"].seconds, infos["y"].seconds) == (1, 2)
    write_list(root, "video,label,fps", "x,a,10", "x,a,20")
    with pytest.raises(ValueError, match=r"'list\.csv', line 2 and 'list\.csv', line 3 give 'x' two frame rates"):
        open_clips(root)


def test_folders_of_frames_in_class_folders(frames):
    for name in ("walk/1", "walk/2", "sit/3", "sit/4"):
        root = frames(name, 4)
    clips = open_clips(root, rate=25)
    assert clips.classes == ("sit", "walk") and len(clips.train) == len(clips.val) == 2
    with pytest.raises(ValueError, match="rate=0 is not a number of frames per second"):
        open_clips(root, rate=0)
