"""The header as text: everything comes back, and text of another form is refused."""

import json

import pytest
import torch

import wholeframe as wf
from wholeframe.models.build import create_backbone
from wholeframe.models.origin import Origin
from wholeframe.store.header import Header, from_text


@pytest.fixture(scope="module")
def header():
    network = create_backbone("small", 3)
    wf.insert(network, wf.NonLocal, at="stage2", example=torch.randn(1, 3, 16, 16))
    return Header(
        Origin("wholeframe", "small", {"num_classes": 3, "sizes": ((1, 2), (3,))}, ("head",)),
        "ToyNet",
        placements=wf.blocks_of(network),
        norms={"stage1.1": "frozen"},
        settings={"head": {"p": 0.5}},
        fixed=("a",),
        shared=(("a", "b"),),
        kind="image",
        input=(3, 8, 8),
        mean=(0.5, 0.5, 0.5),
        std=(1.0, 1.0, 1.0),
        shorter=9,
        num_classes=3,
        classes=("x", "ÿ", "\u2603"),
        licence="MIT",
        notes={"a": "b"},
    )


def test_everything_comes_back(header):
    assert from_text(header.text()) == header
    assert header.text().isascii()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"further": 1}, r"other fields than this version of wholeframe writes: further"),
        ({"format": None}, r"no format number"),
        ({"format": 2}, r"a newer version"),
        ({"classes": [1]}, r"'classes' in its header is not a list of texts"),
        ({"norms": {"a": 1}}, r"'norms' in its header does not map"),
        ({"norms": {"a": "melted"}}, r"a norm='melted' is not one of"),
        ({"shared": ["a"]}, r"'shared'"),
        ({"input": [3, True]}, r"'input' in its header is not a list of numbers"),
        ({"settings": {"a": 1}}, r"'settings'"),
        ({"num_classes": 0}, r"'num_classes' in its header is not a number of at least 1"),
        ({"origin": {"name": "x"}}, r"the origin in its header has the fields 'name'"),
        ({"origin": {"library": "os", "name": "x", "arguments": {}, "replaced": []}}, r"library='os' is not one of"),
        ({"origin": {"library": "timm", "name": 1, "arguments": {}, "replaced": []}}, r"is not a name with arguments"),
        ({"placements": [{"site": "a"}]}, r"does not describe a block"),
        ({"placements": 3}, r"a field of another form"),
    ],
)
def test_text_of_another_form(header, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_text(json.dumps({**json.loads(header.text()), **change}))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000])
def test_text_that_is_not_a_header(text):
    with pytest.raises(ValueError, match=r"its header"):
        from_text(text)
