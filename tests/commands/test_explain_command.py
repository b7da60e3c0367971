"""`wholeframe explain`: what it draws and says of each block, and what it refuses before the work."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import wholeframe as wf
from wholeframe.commands import train
from wholeframe.train.opened import Given, Opened


@pytest.fixture(scope="module")
def context_run(tmp_path_factory, photos):
    """A run whose block has one map for all queries."""
    folder = tmp_path_factory.mktemp("runs") / "gc"
    options = ["--size", "16", "--batch", "8", "--workers", "0", "--epochs", "1", "--block", "gc"]
    train.main(["small_nl", "--data", str(photos), "--out", str(folder), *options])
    return folder


@pytest.fixture
def of_clips(monkeypatch, tmp_path):
    """A small network for clips under the name `clips`, and a file that it takes for a clip of 4 frames."""

    def opened(text, weights=None):
        network = nn.Sequential(nn.Conv3d(3, 8, 3, stride=(2, 4, 4), padding=1), wf.NonLocal(8, init="random"))
        count = 8 if text == "longer clips" else 4
        frames = np.random.default_rng(0).integers(0, 256, (count, 16, 24, 3), dtype=np.uint8)
        x = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 255
        return Opened(text, network.eval(), "clip", lambda file: Given(x, frames), untrained=f"{text} is untrained")

    monkeypatch.setattr("wholeframe.commands.explain.open_model", opened)
    (tmp_path / "clip.avi").touch()
    return tmp_path / "clip.avi"


def size_of(file):
    with Image.open(file) as image:
        assert image.format == "PNG"
        return image.size


def test_a_block_with_one_map_for_all_queries(call, capsys, context_run, photo, tmp_path):
    call("explain", context_run, photo, "--query", 1, 1, "-o", tmp_path / "[b].png")
    assert capsys.readouterr().out.strip() == f"{tmp_path}/[b].png: GlobalContext at stage3.5, one map for all queries"


def test_without_a_query_the_centre_is_taken_and_said(call, capsys, run, photo, tmp_path):
    capsys.readouterr()
    call("explain", run, photo, "-o", tmp_path / "a.png")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{tmp_path}/a.png: NonLocal at ") and ", query cell (" in first
    assert second == "no --query is given, so the queries are at the centre: y=10 x=20"


@pytest.mark.slow
def test_several_queries_in_both_forms(call, capsys, run, photo, tmp_path):
    call("explain", run, photo, "--query", 1, 1, "--query", 18, 30, "-o", tmp_path / "a.png")
    assert "mean cosine distance of their maps" in capsys.readouterr().out
    call("explain", run, photo, "--queries", 7, "-o", tmp_path / "b.png")
    assert "the queries are spread over the picture: y=10 x=20;" in capsys.readouterr().out
    assert size_of(tmp_path / "b.png")[1] > 1.5 * size_of(tmp_path / "a.png")[1]


def test_several_photographs_are_rows(call, capsys, run, photo, photos, tmp_path):
    other = photos / "cat" / "00.png"
    call("explain", run, photo, "-o", tmp_path / "one.png", "--query", 1, 1)
    capsys.readouterr()
    call("explain", run, photo, other, "-o", tmp_path / "two.png", "--query", 1, 1)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == f"{tmp_path}/two.png:" and [line.split(": ")[0] for line in lines] == [f"  {photo}", f"  {other}"]
    assert size_of(tmp_path / "two.png")[1] > 1.5 * size_of(tmp_path / "one.png")[1]


@pytest.mark.slow
def test_two_networks_next_to_each_other(call, capsys, run, context_run, photo, tmp_path):
    call("explain", run, photo, "--query", 1, 1, "--against", run / "best.ckpt", "-o", tmp_path / "a.png")
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"  {photo}, {run}: NonLocal") and second.startswith(
        f"  {photo}, {run}/best.ckpt: NonLocal"
    )
    call("explain", run, photo, "--query", 1, 1, "--against", context_run, "-o", tmp_path / "b.png")
    assert "GlobalContext" in capsys.readouterr().out


@pytest.mark.slow
def test_arrows_over_a_photograph(call, run, photo, tmp_path):
    pictures = []
    for name, top in (("a", ["--top", 3]), ("b", ["--top", 3]), ("c", [])):
        call("explain", run, photo, "--query", 1, 1, "-o", tmp_path / f"{name}.png", *top)
        pictures.append((tmp_path / f"{name}.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize("suffix", [".png", ".gif", ".mp4"])
def test_a_clip(call, capsys, of_clips, tmp_path, suffix):
    call("explain", "clips", of_clips, "--query", 3, 8, 12, "-o", tmp_path / f"a{suffix}")
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/a{suffix}: NonLocal at 1, query cell (1, 2, 3)",
        "clips is untrained",
    ]
    assert (tmp_path / f"a{suffix}").stat().st_size > 1000


def test_the_centre_of_a_clip(call, capsys, of_clips, tmp_path):
    call("explain", "clips", of_clips, "-o", tmp_path / "a.png")
    assert capsys.readouterr().out.splitlines()[-1].endswith("at the centre: t=2 y=8 x=12")


def test_a_random_network_is_the_same_in_every_call(call, of_clips, tmp_path):
    for name in "ab":
        call("explain", "clips", of_clips, "-o", tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_queries_of_another_form_are_refused(refused, of_clips, run, photo, tmp_path):
    out = ("-o", tmp_path / "a.png")
    assert "outside the clip of 4 x 16 x 24" in refused("explain", "clips", of_clips, "--query", 4, 0, 0, *out)
    assert "is not a position (t, y, x)" in refused("explain", "clips", of_clips, "--query", 1, 1, *out)
    told = refused("explain", "clips", of_clips, "--query", 1, 1, 1, "--queries", 3, *out)
    assert "--query and --queries are both given" in told


def test_networks_that_see_other_frames_are_refused(refused, of_clips, tmp_path):
    told = refused("explain", "clips", of_clips, "--against", "longer clips", "-o", tmp_path / "a.png")
    assert f"of '{of_clips}' clips sees 4 x 16 x 24 and longer clips 8 x 16 x 24 pixels" in told


def test_a_query_outside_a_photograph_is_refused(refused, run, photo, tmp_path):
    told = refused("explain", run, photo, "--query", 20, 1, "-o", tmp_path / "a.png")
    assert f"'{photo}': the query y=20 x=1 lies outside the image of 20 x 40 pixels" in told
    assert not (tmp_path / "a.png").exists()


@pytest.mark.slow
def test_what_does_not_fit_is_refused(refused, run, photo, tmp_path):
    assert "takes photographs, which do not move" in refused("explain", run, photo, "-o", tmp_path / "a.gif")
    assert f"give -o {tmp_path}/a.png" in refused("explain", run, photo, "-o", tmp_path / "a.jpg")
    told = refused("explain", run, photo, "--top", 3, "-o", tmp_path / "a.gif")
    assert "--top 3 draws arrows, and a moving picture has heat maps" in told
    assert "no photograph and no clip is given" in refused("explain", run, "-o", tmp_path / "a.png")
    assert "there is no block at 'x'" in refused("explain", run, photo, "--site", "x", "-o", tmp_path / "a.png")
    told = refused("explain", run, photo, "--against", "c2d_r50", "-o", tmp_path / "a.png")
    assert f"{run} takes photographs and c2d_r50 clips" in told


def test_a_video_for_a_network_of_photographs(refused, run, tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), dtype=np.uint8))))
        container.mux(stream.encode())
    told = refused("explain", run, tmp_path / "a.mp4", "-o", tmp_path / "a.png")
    assert f"a.mp4' is a video, and {run} takes photographs; give a photograph" in told


def test_the_photograph_is_not_replaced(refused, context_run, photos, tmp_path):
    photo = shutil.copy(photos / "cat" / "00.png", tmp_path / "a.png")
    told = refused("explain", context_run, photo, "--query", 1, 1, "-o", photo)
    assert "the picture would replace the photograph" in told


def test_a_picture_that_cannot_be_written(refused, context_run, photo):
    told = refused("explain", context_run, photo, "--query", 1, 1, "-o", photo / "a.png")
    assert "a.png' cannot be written, because" in told
