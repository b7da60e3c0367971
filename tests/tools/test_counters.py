"""FLOP counters: `wf.cost` is the definition; what the others count is printed in docs/howto/tools.md."""

import runpy
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

import wholeframe as wf

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "docs" / "counters.py"))


@pytest.fixture
def counters():
    for name in ("thop", "torchinfo", "ptflops", "fvcore"):
        pytest.importorskip(name, reason=f"uv sync --extra tools installs {name}")


def test_the_page_shows_what_the_script_prints(counters):
    page = (ROOT / "docs" / "howto" / "tools.md").read_text(encoding="utf-8")
    assert SCRIPT["table"]() in page, "run `uv run --extra tools python docs/counters.py` and copy its table"


@pytest.mark.parametrize("name", wf.BLOCKS)
def test_cost_counts_the_definition_of_an_inserted_block(name):
    x = torch.randn(1, 3, 64, 64)
    plain, model = resnet18(weights=None).eval(), resnet18(weights=None).eval()
    wf.insert(model, wf.BLOCKS[name].make, at="layer2.1", example=x)
    block = model.layer2[1].wholeframe
    assert wf.cost(model, x).macs - wf.cost(plain, x).macs == block.multiply_adds((8, 8))


@pytest.mark.parametrize("name", wf.BLOCKS)
@pytest.mark.parametrize("counter", ["thop", "torchinfo", "ptflops", "fvcore"])
@pytest.mark.filterwarnings("ignore")
def test_counters_run_and_leave_the_block_as_it_was(counters, counter, name):
    block, x = wf.BLOCKS[name].make(32).eval(), torch.randn(1, 32, 8, 8)
    before, expected = set(block.state_dict()), block(x)
    SCRIPT["COUNTERS"][counter](block, x)
    assert torch.equal(block(x), expected)
    assert before <= set(block.state_dict())
