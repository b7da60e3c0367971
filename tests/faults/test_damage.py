"""A run folder in any state of damage resumes exactly, or is refused in one sentence."""

import pytest
from faults.damage import damaged
from faults.kills import differences, photos, resume, start, stop_in, tiny_network, waited

from wholeframe.train.run import Run

ALWAYS, ALL = 6, 100
WAYS = ("put ", "begin ", "give ", "leave ", "move ", "writes one")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of three epochs that was left alone, and a copy of its folder as it was after one epoch and two steps."""
    place = tmp_path_factory.mktemp("damage")
    with tiny_network():
        data = photos(place / "photos")
        assert waited(start(data, place / "whole"), place / "log") == 0
        assert waited(start(data, place / "cut"), place / "log", stop_in(1, 2)) == 143
        yield Run(place / "whole"), place / "cut"


def check(runs, copy, seed):
    whole, cut = runs
    done = damaged(cut, copy, seed)
    log = copy.with_suffix(".log")
    status, told = waited(resume(copy), log), log.read_text()
    if status == 0:
        assert differences(whole, Run(copy)) == [], done
    else:
        assert status == 2 and "Traceback" not in told, f"{done}: {told[-3000:]}"
        *_, last = told.strip().splitlines()
        assert last.startswith("wholeframe: ") and str(copy) in last, f"{done}: {told}"
        assert any(word in last for word in ("put ", "begin ", "give ", "leave ", "move ", "writes one")), (
            f"no way out: {last}"
        )


@pytest.mark.parametrize("seed", range(ALWAYS))
def test_a_damaged_run(runs, tmp_path, seed):
    check(runs, tmp_path / "run", seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(ALWAYS, ALL))
def test_many_damaged_runs(runs, tmp_path, seed):
    check(runs, tmp_path / "run", seed)
