"""docs/backbones.md: a sample of its rows is measured again, all of them with `-m slow` and the extra `tools`."""

import importlib.util
import random
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = runpy.run_path(str(DOCS / "backbones.py"))
LINES = (DOCS / "backbones.md").read_text(encoding="utf-8").splitlines()
INSTALLED = [package for package in PAGE["PACKAGES"] if importlib.util.find_spec(package)]
ABSENT = sorted({*PAGE["PACKAGES"]} - {*INSTALLED})


def listed(*packages: str) -> list:
    return PAGE["backbones"](*packages)


def name(backbone) -> str:
    return f"{backbone.package} {backbone.name}"


@pytest.mark.slow
@pytest.mark.parametrize("backbone", random.Random(10).sample(listed("torchvision", "timm"), 3), ids=name)
def test_a_sample_of_the_rows_is_as_printed(backbone):
    line = PAGE["line"](backbone, PAGE["measure"](backbone))
    assert line in LINES, "run `uv run --extra tools python docs/backbones.py`"


@pytest.mark.slow
@pytest.mark.skipif(bool(ABSENT), reason=f"`uv sync --extra tools` installs {', '.join(ABSENT)}")
@pytest.mark.parametrize("package", PAGE["PACKAGES"])
def test_every_row_is_as_printed(package: str):
    lines = [PAGE["line"](backbone, PAGE["measure"](backbone)) for backbone in listed(package)]
    assert lines and not [line for line in lines if line not in LINES]


def test_the_page_has_forty_backbones_and_says_where_blocks_do_not_export():
    rows = [line for line in LINES if line.startswith("| ")][1:]
    assert len(rows) >= 40 and len(set(rows)) == len(rows)
    assert all(row.rstrip("| ").endswith("yes") or "not without blocks either" in row for row in rows)
