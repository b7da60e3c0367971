"""Published sizes compared with ours: every confirmed one, to its printed digits."""

import random
import runpy
from functools import partial
from pathlib import Path

import pytest
import torch

from wholeframe.models.cost import Cost, count
from wholeframe.models.zoo import MODELS
from wholeframe.models.zoo.card import Card, Published
from wholeframe.models.zoo.detection import DETECTION_MODELS
from wholeframe.models.zoo.image import IMAGE_MODELS
from wholeframe.models.zoo.published import SIZE_UNITS, Comparison, compare_figures, cost_of
from wholeframe.models.zoo.sizes import SIZES
from wholeframe.models.zoo.video import VIDEO_MODELS

PUBLISHED = [name for name, network in MODELS.items() if any(figure.unit in SIZE_UNITS for figure in network.published)]
# One code builds the networks that differ only in the number of layers: a sample of the deeper ones is counted.
SHALLOWER = {name: name.replace("r101", "r50").replace("r152", "r50") for name in PUBLISHED}
DEEPER = [name for name, other in SHALLOWER.items() if other != name and other in PUBLISHED]
COUNTED = [name for name in PUBLISHED if name not in DEEPER] + random.Random(0).sample(DEEPER, 3)


def disagreeing(names):
    """Confirmed sizes that are ours though they say why not, or are not ours and do not say why."""
    rows = [(name, row) for name in names for row in compare_figures(name)]
    sizes = [(name, row) for name, row in rows if row.published.unit in SIZE_UNITS and row.published.confirmed]
    assert sizes
    return [(name, row.published, row.ours) for name, row in sizes if row.agrees == bool(row.published.differs)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r50_gc", "gsop2_r50"])
def test_confirmed_sizes_are_ours_or_say_why_not(name):
    assert not disagreeing([name])


@pytest.mark.slow
def test_figures_of_secondary_sources_are_marked():
    unconfirmed = [row for row in compare_figures("gsop1_r50") if not row.published.confirmed]
    assert [row.published.figure for row in unconfirmed] == ["28.05", "6.18"]
    assert all(row.note.startswith("unverified") for row in unconfirmed)


def test_every_card_is_filled_in():
    assert len(MODELS) == len(IMAGE_MODELS) + len(VIDEO_MODELS) + len(DETECTION_MODELS)
    for name, network in IMAGE_MODELS.items():
        assert name in network.command.split() and network.attach is not None and network.backbone
    for network in MODELS.values():
        assert network.paper and network.weights and len(network.input) in (3, 4)
        for figure in network.published:
            float(figure.figure.replace(",", ""))
            assert figure.source and (not figure.base or figure.base in MODELS)


# ---------------------------------------------------------------------------------------------------- by hand


def convolution(classes, bias=True):
    return torch.nn.Conv2d(3, classes, 1, bias=bias)


@pytest.fixture
def tiny(monkeypatch):
    """`tiny(published...)`: a network of 3 x 3 + 3 parameters and 9 x positions multiply-adds, by its name."""

    def tiny(*figures):
        monkeypatch.setitem(MODELS, "tiny", Card(convolution, (3, 8, 8), "none", num_classes=3, published=figures))
        cost_of.cache_clear()
        return "tiny"

    yield tiny
    cost_of.cache_clear()


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
    (row,) = compare_figures(tiny(figure))
    assert row == Comparison(figure, ours)
    assert row.agrees == (ours == figure.figure)


def test_notes():
    figure = Published("1", "G multiply-adds", "s", False, {"stride": "1x1"}, (3, 8, 8), "r50", "another count")
    assert Comparison(figure, "2").note == "unverified; stride 1x1; input 3 x 8 x 8; of r50; another count"
    assert Comparison(Published("1", "parameters", "s"), "1").note == ""


def test_counting_computes_nothing():
    """The values alone would take 120 GB."""
    assert count(partial(convolution, 3), (3, 10**5, 10**5)).macs == 9 * 10**10


# ----------------------------------------------------------------------------------------------------- the page


def test_every_network_has_its_sizes():
    assert list(SIZES) == list(MODELS), "run `uv run python docs/models.py`"


@pytest.mark.slow
def test_sizes_are_those_of_the_network():
    assert SIZES["r50_gc"] == (cost_of("r50_gc").params, cost_of("r50_gc").macs), "run `uv run python docs/models.py`"


def test_the_page_is_that_of_its_script(monkeypatch):
    """With the written sizes, which other tests compare with the networks, and with the page's own column `ours`."""
    docs = Path(__file__).parents[3] / "docs"
    page, script = (docs / "models.md").read_text(), runpy.run_path(str(docs / "models.py"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    ours = [row[2] for row in rows if len(row) == 6]
    expected = [(name, figure) for name, network in MODELS.items() for figure in network.published]
    assert len(ours) == len(expected), "run `uv run python docs/models.py`"
    stated = {name: [] for name in MODELS}
    for (name, figure), our in zip(expected, ours, strict=True):
        stated[name].append(Comparison(figure, our or None))
    known = {name: Cost(*SIZES[name]) for name in MODELS}
    names = script["page"].__globals__
    monkeypatch.setitem(names, "compare_figures", stated.__getitem__)
    monkeypatch.setitem(names, "cost_of", known.__getitem__)
    assert script["page"]() == page, "run `uv run python docs/models.py`"
    assert script["sizes"]() == (docs.parent / "wholeframe" / "models" / "zoo" / "sizes.py").read_text()


@pytest.mark.slow
def test_networks_are_counted():
    """Those with a published size, and a sample of the deeper ones; the script of the page counts the rest."""
    counted = {name: cost_of(name) for name in COUNTED}
    assert {name: (cost.params, cost.macs) for name, cost in counted.items()} == {name: SIZES[name] for name in counted}
    assert not disagreeing(COUNTED)
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text()
    for name in COUNTED:
        for row in compare_figures(name):
            start = f"| `{name}` | {row.published.figure} | {row.ours or ''} | {row.published.unit} |"
            assert start in page, "run `uv run python docs/models.py`"
