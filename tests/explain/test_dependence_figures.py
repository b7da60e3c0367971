"""The figures of dependence are drawn for every kind of block, and show what they are given."""

import numpy as np
import pytest
import torch
from PIL import Image

from wholeframe.explain.dependence_figures import DISTANCES, draw_dependence, draw_over_steps
from wholeframe.explain.survey import SHARES, Statistics


def statistics(site, scale=1.0, attention=True, shares=0.4):
    generator = torch.Generator().manual_seed(0)
    names = ("input", "output", "attention", "divergence", "keys_used") if attention else ("input", "output")
    values = {name: scale * torch.rand(8, generator=generator, dtype=torch.float64) for name in names}
    return Statistics(site, "NonLocal", values, dict.fromkeys(SHARES, shares), 64, 64, 64)


def pixels(file):
    with Image.open(file) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def coloured(file, colour):
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((abs(pixels(file) - wanted).sum(axis=2) < 6).sum())


@pytest.mark.slow
def test_every_statistic_has_its_points(tmp_path):
    draw_dependence([statistics("layer3.1"), statistics("layer3.3", 0.0)], tmp_path / "a.png", "a $run$ of 8 images")
    draw_dependence([statistics("layer3.1", attention=False, shares=None)], tmp_path / "b.png", "b")
    for name, (_, colour) in DISTANCES.items():
        less = name in ("attention", "divergence")
        assert coloured(tmp_path / "a.png", colour) > (2 if less else 1) * coloured(tmp_path / "b.png", colour) > 0
    assert pixels(tmp_path / "a.png").shape[0] > pixels(tmp_path / "b.png").shape[0]


def test_a_block_that_adds_nothing_has_no_point_for_its_output(tmp_path):
    empty = statistics("layer3.1", shares=None)
    empty.values["output"] = torch.full((8,), torch.nan, dtype=torch.float64)
    draw_dependence([empty], tmp_path / "a.png", "a")
    assert (
        coloured(tmp_path / "a.png", DISTANCES["output"][1]) < coloured(tmp_path / "a.png", DISTANCES["input"][1]) / 2
    )


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("blocks", [1, 5])
def test_over_steps(tmp_path, blocks):
    found = {step: [statistics(f"layer3.{n}", scale) for n in range(blocks)] for step, scale in ((0, 1), (90, 1e-3))}
    draw_over_steps(found, tmp_path / "a.png", "a run")
    assert pixels(tmp_path / "a.png").std() > 10
