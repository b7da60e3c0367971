"""Which repository a file comes from: by names, with the sources that were considered and the names that decided."""

from pathlib import Path

import pytest

from wholeframe.convert import WHOLE
from wholeframe.convert.whole import WholeSource, source_of

SOURCES = {
    "first": WholeSource("a/b", "MIT", (r"^conv1\.weight$",), plan=lambda shapes: None, excluded=(r"\.nl\.",)),
    "second": WholeSource("c/d", "MIT", (r"^conv1\.weight$", r"\.nl\.g\."), plan=lambda shapes: None),
    "third": WholeSource("e/f", "MIT", (r"^conv1\.weight$", r"theta"), plan=lambda shapes: None),
}


def test_names_decide():
    assert source_of(["conv1.weight", "fc.weight"], "'f'", SOURCES, None) == "first"
    assert source_of(["conv1.weight", "layer.nl.g.bias"], "'f'", SOURCES, None) == "second"


@pytest.mark.parametrize(
    ("keys", "given", "message"),
    [
        (["conv1.weight", "x.nl.g.a", "theta"], None, r"fit 2 sources: 'second', 'third'; give source='second' or an"),
        (
            ["fc"],
            None,
            r"'f', with the names 'fc', is of none of the sources \(no name decides for first, second, third\)",
        ),
        (
            ["conv1.weight", "b.nl.x"],
            None,
            r"none of the sources \(first: it has 'b.nl.x'; second: no name like '.*nl.*g",
        ),
        (["conv1.weight", "x.nl.y"], "first", r"is not of this source \(first: it has 'x.nl.y'\)"),
        (["fc"], "frist", r"there is no source 'frist'; did you mean 'first'"),
    ],
)
def test_unknown_and_ambiguous_files_are_refused(keys, given, message):
    with pytest.raises(ValueError, match=message):
        source_of(keys, "'f'", SOURCES, given)


def test_each_source_has_a_repository_with_a_version_and_a_licence():
    assert all("/" in source.repository and source.licence and source.decisive for source in WHOLE.values())


def test_the_page_has_every_source():
    page = (Path(__file__).parents[2] / "docs" / "howto" / "convert.md").read_text()
    assert all(f"| `{name}` |" in page for name in WHOLE)
    assert "CC-BY-NC-4.0" in next(line for line in page.splitlines() if line.startswith("| `pytorch-resnet3d`"))
