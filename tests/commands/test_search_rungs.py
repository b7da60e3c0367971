"""The rungs of a search: their lengths from a budget of time, what is not repeated, and a budget that is used up."""

import pytest
from untrained import untrained

from wholeframe.commands import search_rungs
from wholeframe.commands.search_rungs import PROBE, Search
from wholeframe.recipes.compared import Compared, arm_of
from wholeframe.train.budget import budget_of
from wholeframe.train.halving import Halving
from wholeframe.train.pace import Pace
from wholeframe.train.spent import Spent

NAMES = ("none", "se", "gc", "snl", "nl")
TASKS = ("recall", "gist")


@pytest.fixture
def trained():
    """(task, name, seed, steps) of every training; nl is the best, se the second."""
    with untrained() as seen:
        yield seen


@pytest.fixture
def paces(monkeypatch):
    """Every candidate has the same pace."""
    monkeypatch.setattr(search_rungs, "in_processes", lambda _, items, __: ((each, Pace(2.0, 1.0)) for each in items))


def of(folder, budget, *, steps=100, seeds=1, first=0, jobs=1, spent=None):
    compared = Compared(steps=steps)
    hosts = {task: compared.host(task) for task in TASKS}
    candidates = {
        name: [arm_of(hosts[task], task, None if name == "none" else name, hosts[task].at, name) for task in TASKS]
        for name in NAMES
    }
    seeds = range(first, first + seeds)
    return Search(compared, candidates, budget_of(budget), seeds, jobs, spent or Spent(folder))


def run(search):
    search.begin()
    return list(search.rungs(Halving(NAMES)))


def test_every_rung_has_an_equal_share(tmp_path, trained):
    search = of(tmp_path, "50%")
    first, last = run(search)
    assert first.part == 0.25 and last.part == 0.625, "250 steps for 10 trainings, and for 4"
    assert search.steps == 10 * 25 + 4 * 62 <= 500 and search.all_steps() == 1000
    assert list(last.scores()) == ["se", "nl"]
    assert [steps for *_, steps in trained] == [25] * 10 + [62] * 4


def test_tasks_and_seeds_are_those_of_a_rung(tmp_path, trained):
    run(of(tmp_path, "100%", seeds=2, first=3))
    assert trained[:10] == [(task, name, 3, 100) for task in TASKS for name in NAMES]
    assert {seed for *_, seed, _ in trained[10:]} == {4}, "the first seed is not trained again with as many steps"
    assert len(trained) == 10 + 4


def test_a_time_is_shared_by_the_pace(tmp_path, trained, paces):
    search = of(tmp_path, "320s")
    search.begin()
    (part,) = search.spent.parts
    assert 10 * (2 + 100 * part) == pytest.approx(160, rel=1e-3), "half of the time"
    search.spent.seconds = 200  # The first rung took longer.
    _, last = search.rungs(Halving(NAMES))
    assert 4 * (2 + 100 * last.part) == pytest.approx(120, rel=0.05), "what is left"
    assert search.steps == 10 * PROBE + sum(steps for *_, steps in trained)


def test_two_jobs_have_twice_the_time(tmp_path, paces):
    search = of(tmp_path, "320s", jobs=2)
    search.begin()
    assert 10 * (2 + 100 * search.spent.parts[0]) == pytest.approx(320, rel=1e-3)


def test_a_time_that_is_used_up_leaves_the_last_rung_out(tmp_path, trained, paces, capsys):
    search = of(tmp_path, "320s")
    search.begin()
    search.spent.seconds = 315
    (only,) = search.rungs(Halving(NAMES))
    assert list(only.scores()) == list(NAMES)
    assert "the budget is used up, so that rung 2 of 2 is left out" in capsys.readouterr().out


def test_a_time_too_short(tmp_path, paces):
    with pytest.raises(ValueError, match=r"each of the 10 trainings of the first rung less than one step; give --bud"):
        of(tmp_path, "59s").begin()
    of(tmp_path, "61s").begin()


def test_a_later_call_keeps_what_was_decided(tmp_path, trained):
    spent = Spent(tmp_path, parts=[0.5])
    first, last = run(of(tmp_path, "60%", spent=spent))
    assert first.part == 0.5 and last.part == 0.25, "the rest of 600 steps"
    (tmp_path / "recipe.json").write_text("{}")
    assert spent.parts == [0.5, 0.25] == Spent.read(tmp_path).parts
