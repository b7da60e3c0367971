"""Successive halving by Optuna: the best third of a rung goes on, in any order of the candidates."""

import random
import sys

import pytest

from wholeframe.train.halving import Halving, rung_sizes


def names(count):
    return [f"candidate {index}" for index in range(count)]


@pytest.mark.parametrize("count", range(2, 41))
def test_the_best_third_goes_on(count):
    """The pruner of Optuna agrees with the definition, in all rungs."""
    left, halving, shuffled = names(count), Halving(names(count)), random.Random(count)
    sizes = []
    while len(left) >= 2:
        sizes.append(len(left))
        scores = {name: shuffled.random() for name in left}
        best = sorted(left, key=lambda name: -scores[name])[: max(1, (len(left) + 1) // 3)]
        kept = halving.kept(scores)
        assert kept == [name for name in left if name in best], "the order stays"
        left = kept
    assert sizes == rung_sizes(count)


@pytest.mark.parametrize("rising", [True, False])
def test_the_order_of_the_candidates_has_no_influence(rising):
    """An asynchronous decision would keep the first candidate, and each that is better than those before it."""
    scores = {name: index / 12 for index, name in enumerate(names(12))}
    ordered = dict(sorted(scores.items(), key=lambda item: item[1] if rising else -item[1]))
    assert set(Halving(list(ordered)).kept(ordered)) == set(names(12)[-4:])


def test_equal_scores_go_on_together():
    scores = dict(zip("abcdef", [0.5, 0.9, 0.9, 0.9, 0.1, 1.0], strict=True))
    assert Halving("abcdef").kept(scores) == ["b", "c", "d", "f"]


def test_sizes():
    assert rung_sizes(12) == [12, 4] and rung_sizes(24) == [24, 8, 3] and rung_sizes(2) == [2]


def test_nothing_is_printed_and_the_verbosity_stays(capfd):
    import optuna

    before = optuna.logging.get_verbosity()
    Halving(names(3)).kept(dict(zip(names(3), [1, 2, 3], strict=True)))
    assert optuna.logging.get_verbosity() == before and capfd.readouterr() == ("", "")


def test_without_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"a search needs Optuna, .* install it with `uv sync --extra search`"):
        Halving(names(2))
