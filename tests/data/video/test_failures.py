"""The reasons of failures, in memory that processes share."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

pytest.importorskip("av")

from wholeframe.data.video.failures import REASONS, Failures
from wholeframe.data.video.info import VideoError
from wholeframe.data.video.segments import Segment

SEGMENTS = [Segment(Path(f"{number}.mp4")) for number in range(100)]


def fail(failures, number, reason):
    failures.add(number, VideoError("x", reason))


def test_by_reason():
    failures = Failures(SEGMENTS)
    assert failures.sentence("left out") == ""
    for number, reason in ((3, "it is cut off"), (1, "the file is empty"), (2, "it is cut off"), (2, "it is cut off")):
        fail(failures, number, reason)
    failures.add(4, FileNotFoundError(2, "No such file or directory"))
    assert failures.sentence("left out") == (
        "4 of 100 clips could not be decoded, and left out: '2.mp4' (2 times), '3.mp4' (1 times): it is cut off "
        "(2 clips); '1.mp4' (1 times): the file is empty (1 clip); "
        "'4.mp4' (1 times): No such file or directory (1 clip)"
    )


def test_more_reasons_than_are_kept():
    failures = Failures(SEGMENTS)
    for number in range(100):
        fail(failures, number, f"reason {number} " + "x" * 300)
    said = failures.sentence("left out")
    assert f"other reasons ({100 - REASONS + 1} clips)" in said and said.endswith(f" and {REASONS - 5} more")


def test_other_processes():
    failures = Failures(SEGMENTS)
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as processes:
        for number in range(6):
            processes.submit(fail, failures, number, f"reason {number % 2}").result()
    assert "'0.mp4' (1 times), '2.mp4' (1 times), '4.mp4' (1 times): reason 0 (3 clips); '1.mp4'" in failures.sentence(
        ""
    )
