"""`wholeframe explain`: what it says of each block, and what it refuses before the work."""

import shutil

import pytest

from wholeframe.commands import train


@pytest.fixture(scope="module")
def context_run(tmp_path_factory, photos):
    """A run whose block has one map for all queries."""
    folder = tmp_path_factory.mktemp("runs") / "gc"
    options = ["--size", "16", "--batch", "8", "--workers", "0", "--epochs", "1", "--block", "gc"]
    train.main(["small_nl", "--data", str(photos), "--out", str(folder), *options])
    return folder


def test_a_block_with_one_map_for_all_queries(call, capsys, context_run, photo, tmp_path):
    call("explain", context_run, photo, "--query", 1, 1, "-o", tmp_path / "[b].png")
    assert capsys.readouterr().out.strip() == f"{tmp_path}/[b].png: GlobalContext at stage3.5, one map for all queries"


def test_the_photograph_is_not_replaced(refused, context_run, photos, tmp_path):
    photo = shutil.copy(photos / "cat" / "00.png", tmp_path / "a.png")
    told = refused("explain", context_run, photo, "--query", 1, 1, "-o", photo)
    assert "the picture would replace the photograph" in told


def test_a_picture_that_cannot_be_written(refused, context_run, photo):
    told = refused("explain", context_run, photo, "--query", 1, 1, "-o", photo / "a.png")
    assert "a.png' cannot be written, because" in told
