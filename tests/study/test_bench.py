"""The bench measures what it says: both sides compute the same, turns are counted, memory is what was allocated."""

from functools import partial

import pytest
import torch

from wholeframe import ops
from wholeframe.blocks import CGNL, NonLocal
from wholeframe.commands import bench as command
from wholeframe.study import definitions
from wholeframe.study.bench import CASES, Case, Goal, against_definition, run_case
from wholeframe.study.race import Lap, Probe, _quiet, peak_bytes, race

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("make", "definition"),
    [
        (partial(NonLocal, 8, kind="concatenation", birth="random"), definitions.pairs_concatenated),
        (partial(NonLocal, 8, kind="concatenation", norm=None, birth="random"), definitions.pairs_concatenated),
        (partial(CGNL, 8, groups=2, birth="random"), definitions.cgnl_in_a_loop),
        (partial(CGNL, 8, groups=2, norm=None, birth="random"), definitions.cgnl_in_a_loop),
    ],
)
def test_definitions_compute_what_the_blocks_compute(make, definition):
    torch.manual_seed(0)
    block = make().double().eval()
    x = torch.randn(2, 8, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(definition(block, x), block(x), rtol=1e-12, atol=1e-12)


def test_definitions_of_ops():
    x = torch.randn(2, 4, 7)
    torch.testing.assert_close(definitions.covariance_by_matrix(x), ops.covariance(x), rtol=1e-5, atol=1e-6)
    s, weight, bias = torch.randn(2, 4, 4), torch.randn(16, 1, 4), torch.randn(16)
    torch.testing.assert_close(definitions.row_conv_by_groups(s, weight, bias), ops.row_conv(s, weight, bias))


def test_memory_is_what_is_held_at_once():
    def run():
        a = torch.empty(1 << 18)  # 1 MiB
        del a
        return torch.empty(1 << 19)  # 2 MiB

    assert peak_bytes(run, CPU) == 2 << 20


def test_contestants_take_turns():
    order = []
    raced = race({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, CPU, rounds=4, budget=10)
    assert order == ["a", "b"] * 5  # one round to warm up
    assert len(raced.laps["a"].seconds) + raced.rejected == 4
    assert raced.probe.gemm > 0 and raced.probe.copy > 0


def test_loud_rounds_are_thrown_away():
    quiet, loud = Probe(gemm=100, copy=20), Probe(gemm=50, copy=20)
    assert _quiet([quiet, loud, quiet, quiet, loud]) == [0, 2, 3]
    assert len(_quiet([quiet, loud, loud, loud])) == 3, "three rounds are kept, come what may"


def test_ratio_is_the_median_over_rounds():
    assert Lap((1.0, 1.0, 1.0)).times_faster_than(Lap((2.0, 3.0, 100.0))) == 3.0


def test_a_case_gives_both_passes_and_finds_no_difference():
    make = partial(NonLocal, 8, kind="concatenation", norm=None)
    case = Case("nl", (2, 8, 5, 4), "d", against_definition(make, definitions.pairs_concatenated), Goal(1, 2, 3))
    forward, both = run_case(case, rounds=3, budget=1, device=CPU)
    assert (forward.mode, forward.goal, both.mode, both.goal) == ("forward", 1, "both", 2)
    assert forward.difference < 1e-5 and forward.ratio > 0 and both.ours_mib > 0


def test_an_unknown_block_is_refused():
    with pytest.raises(ValueError, match="no case is left; --only takes cgnl"):
        command.main(["--only", "nl_dott"])


def test_a_peer_that_is_not_installed_is_named(tmp_path, capsys, monkeypatch):
    def missing():
        raise ImportError(name="mmcv")

    monkeypatch.setattr(command, "CASES", (Case("nl", (1, 8, 4, 4), "mmcv", missing),))
    command.main(["--out", str(tmp_path)])
    assert "left out, mmcv is not installed" in capsys.readouterr().out


def test_every_row_of_the_quick_table_has_a_goal():
    assert all(case.goal != Goal() for case in CASES if case.quick)
