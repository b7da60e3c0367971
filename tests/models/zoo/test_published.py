"""Published sizes beside ours: every confirmed one, to the digits that were printed."""

import runpy
from functools import partial
from pathlib import Path

import pytest
import torch

from wholeframe.models.cost import Cost, count
from wholeframe.models.zoo import MODELS
from wholeframe.models.zoo.card import Card, Published
from wholeframe.models.zoo.image import IMAGES
from wholeframe.models.zoo.published import SIZES, Beside, counted, figures
from wholeframe.models.zoo.sizes import COUNTS
from wholeframe.models.zoo.video import VIDEOS

QUICK = {"r50", "r50_gc", "r50_nl1", "r50_cgnl1", "gsop1_r50", "gsop2_r50", "isqrt_r50"}
PUBLISHED = [name for name, network in MODELS.items() if any(figure.unit in SIZES for figure in network.published)]


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in PUBLISHED])
def test_every_confirmed_size_is_ours_or_says_why_not(name):
    for row in figures(name):
        figure = row.published
        if figure.unit in SIZES and figure.confirmed:
            assert row.agrees == (not figure.differs), f"{figure.figure} {figure.unit} of {figure.source}: {row.ours}"


def test_what_stands_in_a_secondary_source_says_so():
    unconfirmed = [row for row in figures("gsop1_r50") if not row.published.confirmed]
    assert [row.published.figure for row in unconfirmed] == ["28.05", "6.18"]
    assert all(row.note.startswith("unverified") for row in unconfirmed)


def test_every_card_is_filled_in():
    assert len(MODELS) == len(IMAGES) + len(VIDEOS)
    for name, network in IMAGES.items():
        assert name in network.command.split() and network.attach is not None and network.backbone
    for network in MODELS.values():
        assert network.paper and network.weights and len(network.input) in (3, 4)
        for figure in network.published:
            float(figure.figure.replace(",", ""))
            assert figure.source and (not figure.base or figure.base in MODELS)


# --------------------------------------------------------------------------------------------------- by hand


def convolution(classes, bias=True):
    return torch.nn.Conv2d(3, classes, 1, bias=bias)


@pytest.fixture
def tiny(monkeypatch):
    """`tiny(published...)`: a network of 3 x 3 + 3 parameters and 9 x positions multiply-adds, by its name."""

    def tiny(*figures):
        monkeypatch.setitem(MODELS, "tiny", Card(convolution, (3, 8, 8), "none", num_classes=3, published=figures))
        counted.cache_clear()
        return "tiny"

    yield tiny
    counted.cache_clear()


@pytest.mark.parametrize(
    ("figure", "ours"),
    [
        (Published("12", "parameters", "s"), "12"),
        (Published("1,200", "parameters", "s"), "12"),
        (Published("0.00001", "M parameters", "s"), "0.00001"),
        (Published("9", "parameters", "s", options={"bias": False}), "9"),
        (Published("0.0000006", "G multiply-adds", "s"), "0.0000006"),
        (Published("0.000000144", "G multiply-adds", "s", input=(3, 4, 4)), "0.000000144"),
        (Published("1.00", "x multiply-adds", "s", base="tiny"), "1.00"),
        (Published("75.0", "top-1 %", "s"), None),
    ],
)
def test_ours_is_printed_as_theirs(tiny, figure, ours):
    (row,) = figures(tiny(figure))
    assert row == Beside(figure, ours)
    assert row.agrees == (ours == figure.figure)


def test_notes():
    figure = Published("1", "G multiply-adds", "s", False, {"stride": "1x1"}, (3, 8, 8), "r50", "another count")
    assert Beside(figure, "2").note == "unverified; stride 1x1; input 3 x 8 x 8; of r50; another count"
    assert Beside(Published("1", "parameters", "s"), "1").note == ""


def test_counting_computes_nothing():
    """120 GB of numbers, if there were any."""
    assert count(partial(convolution, 3), (3, 10**5, 10**5)).macs == 9 * 10**10


# ----------------------------------------------------------------------------------------------------- the page


def test_every_network_has_its_counts():
    assert list(COUNTS) == list(MODELS), "run `uv run python docs/models.py`"


@pytest.mark.parametrize(
    "name", ["r50_gc", *(pytest.param(n, marks=pytest.mark.slow) for n in MODELS if n != "r50_gc")]
)
def test_the_counts_are_those_of_the_networks(name):
    cost = counted(name)
    assert COUNTS[name] == (cost.params, cost.macs), "run `uv run python docs/models.py`"


def test_the_page_is_that_of_its_script(monkeypatch):
    """With the counts as they were written, which other tests hold to the networks, and `ours` as it stands there."""
    docs = Path(__file__).parents[3] / "docs"
    page, script = (docs / "models.md").read_text(), runpy.run_path(str(docs / "models.py"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    ours = [row[2] for row in rows if len(row) == 6]
    expected = [(name, figure) for name, network in MODELS.items() for figure in network.published]
    assert len(ours) == len(expected), "run `uv run python docs/models.py`"
    stated = {name: [] for name in MODELS}
    for (name, figure), our in zip(expected, ours, strict=True):
        stated[name].append(Beside(figure, our or None))
    known = {name: Cost(*COUNTS[name]) for name in MODELS}
    names = script["page"].__globals__
    monkeypatch.setitem(names, "figures", stated.__getitem__)
    monkeypatch.setitem(names, "counted", known.__getitem__)
    assert script["page"]() == page, "run `uv run python docs/models.py`"
    assert script["counts"]() == (docs.parent / "wholeframe" / "models" / "counts.py").read_text()


@pytest.mark.slow
def test_the_whole_page():
    docs = Path(__file__).parents[3] / "docs"
    assert runpy.run_path(str(docs / "models.py"))["page"]() == (docs / "models.md").read_text()
