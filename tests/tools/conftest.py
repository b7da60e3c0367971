"""For the tests with other programs: no network, nothing installed at run time, files in a temporary folder."""

import os
import re
import tempfile
from pathlib import Path

import pytest
import torch

# The programs read these once, when they are imported, so a fixture would be too late.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["YOLO_OFFLINE"] = "1"
os.environ["YOLO_AUTOINSTALL"] = "0"
os.environ["YOLO_CONFIG_DIR"] = tempfile.mkdtemp(prefix="wholeframe-tools-")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.tools)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def count():
    """`count(model)`: how many inserted blocks run in one forward of the model."""

    def running(model, x, call=None):
        runs = []
        blocks = [module for name, module in model.named_modules() if name.endswith("wholeframe")]
        hooks = [block.register_forward_hook(lambda *_: runs.append(1)) for block in blocks]
        with torch.no_grad():
            (call or model)(x)
        for hook in hooks:
            hook.remove()
        return len(runs)

    return running


@pytest.fixture
def moved():
    """`moved(model)`: give every inserted block weights that change the output, as training does."""

    def move(model):
        generator = torch.Generator().manual_seed(1)
        blocks = [module for name, module in model.named_modules() if name.endswith("wholeframe")]
        assert blocks
        with torch.no_grad():
            for block in blocks:
                for parameter in block.parameters():
                    parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
        return model

    return move


@pytest.fixture(scope="session")
def recipe():
    """`recipe(word)`: the Python of docs/howto/tools.md that has this word, so that the tests run what users copy."""
    page = (Path(__file__).parents[2] / "docs" / "howto" / "tools.md").read_text(encoding="utf-8")
    sources = re.findall(r"^```python\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)

    def find(word):
        [source] = [source for source in sources if word in source]
        return source

    return find
