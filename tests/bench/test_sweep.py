"""The sweep runs every alternative at every size that fits, and finds our worst ratios."""

import dataclasses

import pytest
import torch

from wholeframe import ops
from wholeframe.bench import sweep
from wholeframe.bench.case import Case, Outcome, alone, run_case
from wholeframe.blocks import BLOCKS
from wholeframe.explain.figures import draw_scaling

ALONE = Case("gc", (1, 8, 2, 2), None, alone(lambda: torch.nn.Linear(2, 2)))


def outcome(block="gc", side=7, reference="mmcv", ratio=2.0, memory_ratio=1.0, mib=1.0, mode="forward"):
    """A made-up outcome."""
    fields = {field.name: None for field in dataclasses.fields(Outcome)}
    known = {"block": block, "shape": (2, 8, side, side), "mode": mode, "reference": reference}
    return Outcome(**{**fields, **known, "ratio": ratio, "memory_ratio": memory_ratio, "ours_ms": 1.0, "ours_mib": mib})


def test_every_block_is_in_the_sweep_at_every_size():
    found = {(case.block, case.shape[-1]) for case in sweep.cases()}
    assert found == {(block, side) for block in BLOCKS for side in sweep.SIDES}


def test_an_alternative_runs_up_to_its_largest_map():
    found = {side: [] for side in sweep.SIDES}
    for case in sweep.cases():
        if case.block == "nl_concatenation":
            found[case.shape[-1]].append(case.reference)
    assert found == {
        7: ["sorted", "dense", "definition"],
        14: ["sorted", "dense", "definition"],
        28: ["sorted", "dense", "definition"],
        56: ["sorted", "dense"],
        112: ["sorted"],
    }


def test_a_peer_of_clips_gets_a_clip_of_one_frame():
    (case,) = (case for case in sweep.cases(sides=(7,)) if case.reference == "pytorchvideo")
    assert case.shape == (sweep.BATCH, sweep.CHANNELS, 1, 7, 7)


@pytest.mark.slow_beyond(4)
@pytest.mark.parametrize(
    "case",
    [c for c in sweep.cases(sides=(1,)) if c.reference in ("definition", "dense", None)],
    ids=lambda case: f"{case.block}-{case.reference}",
)
def test_every_definition_runs_and_agrees(case):
    for found in run_case(case, rounds=1, budget=0, device=torch.device("cpu")):
        assert found.difference is None or found.difference < 1e-5


def test_a_verdict_is_the_worst_over_all_sizes():
    runs = [
        outcome(side=7, ratio=0.9),
        outcome(side=14, ratio=3.0, memory_ratio=0.5),
        outcome(side=28, reference="timm"),
    ]
    against_mmcv, against_timm = sweep.verdicts([*runs, outcome(reference=None, ratio=None)])
    assert (against_mmcv.slowest.shape[-1], against_mmcv.largest.shape[-1]) == (7, 14)
    assert against_mmcv.preferred and not against_timm.preferred


def test_memory_that_doubles_with_the_positions_is_linear():
    runs = [outcome(side=side, mib=mib) for side, mib in ((7, 9.0), (14, 1.0), (28, 4.0))]
    assert sweep.growth(runs, "gc", "forward") == pytest.approx(1)
    assert sweep.growth([*runs, outcome(side=56, mib=64.0)], "gc", "forward") == pytest.approx(2)
    assert sweep.growth(runs, "gc", "both") is None


@pytest.mark.slow
def test_a_picture_of_scaling(tmp_path):
    lines = {
        "gc": {"ours": [(49, 1.0, 2.0), (196, 2.0, 8.0)], "mmcv": [(49, 2.0, 4.0)]},
        "cgnl_rbf": {"ours": [(49, 1, 1)]},
    }
    draw_scaling(lines, tmp_path / "scaling.png", "two samples")
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_every_backend_of_a_block_is_an_alternative():
    found = {case.reference for case in sweep.cases(sides=(7,)) if case.block == "nl_gaussian"}
    assert found >= set(ops.backend_names("gaussian"))
