"""The benchmark compares equal computations, times them in turns and measures the allocated memory."""

from functools import partial

import pytest
import torch

from wholeframe import ops
from wholeframe.bench import references, timing
from wholeframe.bench.case import Case, Goal, against_backend, against_definition, alone, run_case
from wholeframe.bench.goals import CASES
from wholeframe.bench.timing import Probe, Samples, _quiet, time_in_turns
from wholeframe.blocks import (
    CGNL,
    EffectiveSqueezeExcite,
    EfficientChannelAttention,
    GlobalContext,
    GSoPChannel,
    GSoPPosition,
    NonLocal,
    SimplifiedNonLocal,
    SqueezeExcite,
)
from wholeframe.models.measure import peak_bytes

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("make", "definition"),
    [
        (partial(NonLocal, 8, kind="concatenation", init="random"), references.pairs_concatenated),
        (partial(NonLocal, 8, kind="concatenation", norm=None, init="random"), references.pairs_concatenated),
        (partial(CGNL, 8, groups=2, init="random"), references.cgnl_in_a_loop),
        (partial(CGNL, 8, groups=2, norm=None, init="random"), references.cgnl_in_a_loop),
        (partial(CGNL, 8, groups=2, kernel="taylor", gamma=0.1, init="random"), references.cgnl_in_a_loop),
        (partial(GlobalContext, 8, ratio=1 / 2, fusion="multiply_add", init="random"), references.plain_context),
        (partial(SimplifiedNonLocal, 8, init="random"), references.plain_context),
        (partial(SqueezeExcite, 8, ratio=1 / 2, context="mean_max"), references.plain_context),
        (partial(EffectiveSqueezeExcite, 8), references.plain_context),
        (partial(EfficientChannelAttention, 8), references.plain_context),
        (partial(GSoPChannel, 8, inner=4), references.gsop_channel_as_released),
        (partial(GSoPPosition, 8, inner=4, size=(2, 3)), references.gsop_position_as_released),
    ],
)
def test_definitions_compute_what_the_blocks_compute(make, definition):
    torch.manual_seed(0)
    block = make().double().eval()
    x = torch.randn(2, 8, 5, 4, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(definition(block, x), block(x), rtol=1e-12, atol=1e-12)
    ours, theirs = (torch.autograd.grad(run(x).sin().sum(), x) for run in (block, partial(definition, block)))
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


def test_definitions_of_ops():
    x = torch.randn(2, 4, 7)
    torch.testing.assert_close(references.covariance_by_matrix(x), ops.covariance(x), rtol=1e-5, atol=1e-6)
    s, weight, bias = torch.randn(2, 4, 4), torch.randn(16, 1, 4), torch.randn(16)
    torch.testing.assert_close(references.row_conv_by_groups(s, weight, bias), ops.row_conv(s, weight, bias))


@pytest.mark.parametrize("steps", [2, 3, 5])
def test_the_released_backward_pass_of_isqrt_is_that_of_autograd(steps):
    torch.manual_seed(0)
    sigma = ops.covariance(torch.randn(3, 6, 9, dtype=torch.float64)).requires_grad_()
    roots = [references.newton_schulz_as_released(sigma, steps), ops.newton_schulz(sigma, steps)]
    torch.testing.assert_close(*roots, rtol=0, atol=1e-13)
    weights = torch.randn_like(sigma)
    torch.testing.assert_close(*(torch.autograd.grad(root, sigma, weights)[0] for root in roots), rtol=0, atol=1e-12)


def test_memory_is_what_is_held_at_once():
    def run():
        a = torch.empty(1 << 18)  # 1 MiB
        del a
        return torch.empty(1 << 19)  # 2 MiB

    assert peak_bytes(run, CPU) == 2 << 20


class Clock:
    """Time passes only while a candidate runs, and half a millisecond around it."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.order = []
        monkeypatch.setattr(timing.time, "perf_counter", self)
        monkeypatch.setattr(timing, "Prober", lambda _device: lambda: Probe(gemm=100, copy=20))

    def __call__(self):
        self.now += 0.0005
        return self.now

    def candidate(self, name, seconds):
        def run():
            self.order.append(name)
            self.now += seconds

        return run


def test_candidates_take_turns_in_turns(monkeypatch):
    clock = Clock(monkeypatch)
    timed = time_in_turns({"a": clock.candidate("a", 0.1), "b": clock.candidate("b", 0.3)}, CPU, rounds=4, budget=60)
    assert "".join(clock.order) == "aabb" + "ab" + "ba" + "ab" + "ba"  # The first run warms up, the second is timed.
    assert timed.samples["a"].median == pytest.approx(0.1, rel=0.01) and timed.rejected == 0
    assert timed.samples["a"].times_faster_than(timed.samples["b"]) == pytest.approx(3, rel=0.01)


def test_what_is_fast_runs_several_times_a_turn(monkeypatch):
    clock = Clock(monkeypatch)
    timed = time_in_turns({"a": clock.candidate("a", 0.0005)}, CPU, rounds=1, budget=60)
    assert clock.order.count("a") == 2 + 5  # 1 ms with the clock's own half
    assert timed.samples["a"].median == pytest.approx(0.0006)


def test_timing_ends_with_its_budget_after_three_turns(monkeypatch):
    clock = Clock(monkeypatch)
    assert len(time_in_turns({"a": clock.candidate("a", 10.0)}, CPU, rounds=15, budget=1).samples["a"].seconds) == 3


def test_the_probes_measure_something():
    probe = timing.Prober(CPU)()
    assert probe.gemm > 0 and probe.copy > 0


def test_loud_rounds_are_thrown_away():
    quiet, loud = Probe(gemm=100, copy=20), Probe(gemm=50, copy=20)
    assert _quiet([quiet, loud, quiet, quiet, loud]) == [0, 2, 3]
    assert len(_quiet([quiet, loud, loud, loud])) == 3, "three rounds are kept, come what may"


def test_ratio_is_the_median_over_rounds():
    assert Samples((1.0, 1.0, 1.0)).times_faster_than(Samples((2.0, 3.0, 100.0))) == 3.0


def test_a_case_gives_both_passes_and_finds_no_difference():
    make = partial(NonLocal, 8, kind="concatenation", norm=None)
    case = Case("nl", (2, 8, 5, 4), "d", against_definition(make, references.pairs_concatenated), Goal(1, 2, 3))
    forward, both = run_case(case, rounds=3, budget=0, device=CPU)
    assert (forward.mode, forward.goal, both.mode, both.goal) == ("forward", 1, "both", 2)
    assert forward.difference < 1e-5 and forward.ratio > 0 and both.ours_mib > 0 and forward.backend == "auto"


def test_a_block_against_a_backend_of_its_own():
    block, other = against_backend(partial(NonLocal, 8, kind="dot"), "dense")()
    x = torch.randn(1, 8, 4, 4)
    assert (block.backend, other.backend) == ("auto", "dense")
    torch.testing.assert_close(block(x), other(x))
    assert not torch.equal(block(x), x)


def test_a_block_alone_has_limits_and_no_ratio():
    case = Case("gc", (1, 8, 4, 4), None, alone(partial(GlobalContext, 8, ratio=1 / 2)), Goal(seconds=100, gib=1e-9))
    forward, both = run_case(case, rounds=3, budget=0, device=CPU)
    assert forward.ratio is forward.reference_ms is forward.difference is None
    assert forward.reached == [True, False] and both.reached == []


def test_every_row_of_the_quick_table_has_a_goal():
    assert all(case.goal != Goal() for case in CASES if case.quick)


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        ("nl, keys pooled", (1, 512, 32, 28, 28)),
        ("nl", (1, 512, 56, 56)),
        ("nl_gaussian", (1, 512, 56, 56)),
        ("nl_dot", (1, 512, 16, 28, 28)),
        ("nl_concatenation", (1, 512, 32, 56, 56)),
    ],
)
def test_what_is_too_long_for_the_quick_table_is_in_the_whole(block, shape):
    (case,) = (case for case in CASES if (case.block, case.shape) == (block, shape))
    assert case.goal != Goal() and not case.quick
