"""The page as a file: its size, what it may load, and names that would be markup."""

import json
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from wholeframe.blocks import NonLocal
from wholeframe.explain.page import html_page, write_page
from wholeframe.explain.recording import Recording
from wholeframe.surgery.insert import insert

MIB = 2**20
HOSTILE = '"><script>alert(1)</script>'


def recorded(size, stride, std=0.05):
    """A network whose block has weights without any regularity, which deflate least."""
    torch.manual_seed(0)
    conv = nn.Conv2d if len(size) == 2 else nn.Conv3d
    network = nn.Sequential(conv(3, 32, stride, stride))
    x = torch.randn(1, 3, *size)
    insert(network, partial(NonLocal, init="random", std=std), at="0", example=x)
    return Recording(network.eval(), x)


def picture(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def small():
    return recorded((32, 32), 8)


def page(recording, name="cat.jpg", model="net", shape=(32, 32), **options):
    return html_page(recording, picture(*shape), name=name, model=model, **options)


def data_of(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])


def test_a_grid_of_28_x_28_stays_under_two_megabytes(tmp_path):
    write_page(tmp_path / "a.html", recorded((224, 224), 8), picture(375, 500), name="a", model="b")
    assert MIB // 2 < (tmp_path / "a.html").stat().st_size < 2e6
    assert data_of((tmp_path / "a.html").read_text("utf-8"))["layers"][0]["grid"] == [1, 28, 28]


def test_a_clip_of_4_x_14_x_14_stays_under_three_megabytes(tmp_path):
    write_page(tmp_path / "a.html", recorded((32, 112, 112), (8, 8, 8)), picture(32, 112, 112), name="a", model="b")
    assert MIB // 2 < (tmp_path / "a.html").stat().st_size < 3e6
    data = data_of((tmp_path / "a.html").read_text("utf-8"))
    assert data["clip"] and data["layers"][0]["grid"] == [4, 14, 14]
    assert [each["time"] for each in data["pictures"]] == [4, 12, 20, 28]  # one frame per cell, at its centre


def test_the_page_loads_nothing(small):
    html = page(small)
    assert not re.search(r"https?://|\bsrc=|\bhref=(?!\"data:,)|@import|url\(|fetch\(|XMLHttpRequest|WebSocket", html)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy and "connect-src" not in policy


def test_the_viewport_of_a_phone(small):
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page(small)


@pytest.mark.parametrize("part", ["name", "model", "note", "site", "block"])
def test_a_name_is_no_markup(small, monkeypatch, part):
    options = {"notes": [HOSTILE]} if part == "note" else {part: HOSTILE} if part in ("name", "model") else {}
    if part == "site":
        monkeypatch.setattr(small, "runs", [replace(small.runs[0], site=HOSTILE)])
    if part == "block":
        monkeypatch.setattr(small.runs[0].block, "__class__", type(HOSTILE, (NonLocal,), {}))
    html = page(small, **options)
    assert html.count("<script") == 2 and "alert(1)" in html
    assert data_of(html)["layers"]


def test_control_characters_in_a_name_are_shown(small):
    assert "a\\x1b[31m.jpg" in page(small, name="a\x1b[31m.jpg")


def test_notes_are_on_the_page(small):
    assert "<li>random weights</li>" in page(small, notes=["random weights"])
    assert "<h2>Notes</h2>" not in page(small)


def test_the_same_input_gives_the_same_page(small):
    assert page(small) == page(small)


def test_positions_are_in_pixels_of_a_larger_photograph(small):
    data = data_of(page(small, shape=(64, 96)))
    assert data["size"] == [64, 96]
    (start, end), (left, right) = data["layers"][0]["parts"][0]["frame"][1:]
    (record,) = small.attention((0, 0))
    assert [start, end, left, right] == [
        side * by for axis, by in zip(record.frame.intervals, (2, 3), strict=True) for side in axis
    ]


def test_a_picture_with_other_axes(small):
    with pytest.raises(ValueError, match="does not show an input of 32 x 32; give the photograph"):
        page(small, shape=(4, 32, 32))
