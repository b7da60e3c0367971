"""The scale of cost: the fit finds a known power law, and a block stops before a map that is too large."""

import dataclasses

import pytest
import torch

from wholeframe.bench import scale
from wholeframe.bench.scale import GRIDS, Bounds, Law, Point, Stopped, fit, measure_scale, too_large
from wholeframe.bench.timing import Probe, Samples, Timing
from wholeframe.blocks import BLOCKS, NonLocal

CPU = torch.device("cpu")
SMALL = [(2, 2), (4, 4), (8, 8)]
WIDE = Bounds(seconds=60, bytes=2**30)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Replaces the timing: a pass takes 1 ms."""

    def time_in_turns(runs, device, rounds, budget):
        for run in runs.values():
            run()
        return Timing({name: Samples((0.001,) * rounds) for name in runs}, Probe(100, 20), rejected=0)

    monkeypatch.setattr(scale, "time_in_turns", time_in_turns)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_the_fit_finds_a_known_power_law(exponent):
    positions = [49, 196, 784, 3136]
    law = fit(positions, [3e-4 * n**exponent for n in positions])
    assert law.exponent == pytest.approx(exponent) and law.constant == pytest.approx(3e-4)
    assert law.within == pytest.approx(1) and law.at(12544) == pytest.approx(3e-4 * 12544**exponent)


def test_the_fit_is_that_of_least_squares():
    """Residuals of +1, -2, +1 in equal steps change neither the mean nor the slope."""
    factor = 1.1
    law = fit([1, 10, 100], [2 * factor, 2 * 10 / factor**2, 2 * 100 * factor])
    assert law.exponent == pytest.approx(1) and law.constant == pytest.approx(2)
    assert law.within == pytest.approx(factor**2)


def test_what_has_no_fit():
    with pytest.raises(ValueError, match="needs two sizes or more, and there is 1"):
        fit([49, 49], [1.0, 2.0])
    with pytest.raises(ValueError, match="needs positive values"):
        fit([49, 196], [1.0, 0.0])


def test_maps_go_up_to_the_largest_image_and_clip():
    assert {(7, 7), (224, 224), (64, 28, 28)} <= set(GRIDS)


def point(side, ms=1.0, mib=1.0):
    block = NonLocal(8)
    return Point("nl", (side, side), 8, "eager", "forward", ms, 0.0, mib, block.multiply_adds((side, side)))


def test_the_first_map_is_always_measured():
    assert too_large([], NonLocal(8), (1000, 1000), Bounds(0, 0)) is None


def test_time_grows_with_the_products_of_the_definition():
    block, last = NonLocal(8), point(32, ms=100)
    expected = 0.1 * block.multiply_adds((64, 64)) / block.multiply_adds((32, 32))
    assert expected > 0.1 * 12, "products of all pairs grow faster than the positions"
    assert too_large([last], block, (64, 64), Bounds(1.01 * expected, 2**30)) is None
    reason = too_large([last], block, (64, 64), Bounds(0.99 * expected, 2**30))
    assert reason.startswith(f"it would take about {expected:.0f} s") and "--seconds" in reason


def test_memory_grows_as_between_the_last_two_maps():
    linear, squared = [point(8, mib=1), point(16, mib=4)], [point(8, mib=1), point(16, mib=16)]
    at = Bounds(1000, 100 * 2**20)
    assert too_large(linear, NonLocal(8), (32, 32), at) is None, "16 MiB"
    assert "0.2 GiB, and the bound is 0.0976562 GiB (--gib)" in too_large(squared, NonLocal(8), (32, 32), at)


def test_a_block_is_measured_in_both_passes():
    found = list(measure_scale("gc", "eager", SMALL, WIDE, channels=8, rounds=3, device=CPU))
    assert [(p.kind, p.grid) for p in found] == [(kind, grid) for kind in ("forward", "both") for grid in SMALL]
    assert all(p.ms == pytest.approx(1) and p.mib > 0 and p.macs > 0 and p.channels == 8 for p in found)
    assert found[0].positions == 4


def test_a_block_that_stops_says_where_and_why():
    tight = dataclasses.replace(WIDE, bytes=1)
    found = list(measure_scale("nl", "eager", SMALL, tight, channels=8, rounds=3, device=CPU))
    assert [type(each) for each in found] == [Point, Stopped] * 2
    assert found[1].grid == (4, 4) and "GiB" in found[1].reason


@pytest.mark.parametrize("name", list(BLOCKS))
def test_clips(name):
    found = list(measure_scale(name, "eager", [(2, 4, 4)], WIDE, channels=8, rounds=3, device=CPU))
    assert [p.positions for p in found] == [32, 32]


def test_every_map_is_compiled_on_its_own(monkeypatch):
    made = []
    monkeypatch.setattr(scale, "compiled", lambda block: made.append(block) or block)
    found = list(measure_scale("gc", "compiled", SMALL[:2], WIDE, channels=8, rounds=3, device=CPU))
    assert len(found) == len(made) == 4 and {p.mode for p in found} == {"compiled"}


def test_a_law_is_a_value():
    assert Law(1.0, 2.0, 1.0).at(3) == 6
