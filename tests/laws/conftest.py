"""What every block of BLOCKS keeps to, on sequences, images and clips.

A test with an argument `name` runs for every block (for the NAMES of its module, if there are any, or for the names of
its own `parametrize`), a test with `rank` or `x` on a map of every rank. What is true of images and clips is
rarely false of sequences, and a graph of torch or finite differences take seconds: the tests of sequences, and these of
clips, are slow. A block flattens its positions first, so its graph for another rank has the same operations: graphs of
sequences and clips are tried on one such block, and on the one that keeps a grid.
"""

import pytest
import torch
from torch import nn

from wholeframe.blocks import BLOCKS

CHANNELS = 8
GRIDS = {1: (7,), 2: (5, 4), 3: (3, 5, 2)}
GRAPHS = ("test_compile", "test_export_with_dynamic_batch_and_grid")
RANKED = ("nl", "gsop_position")
DIFFERENCES = ("test_gradcheck", "test_gradgradcheck")
CGNL = ("cgnl", "cgnl_taylor", "cgnl_rbf")
# The published ratio of 1/16 leaves nothing of so few channels, and the published eight groups do not divide them.
SMALL = {
    "gc": {"ratio": 1 / 2},
    "se": {"ratio": 1 / 2},
    **{name: {"groups": 2} for name in CGNL},
    "gsop_channel": {"inner": 4},
    "gsop_position": {"inner": 4},
}
# The one block that fixes a grid, with a number of cells per axis: it is built for the rank of the map.
COARSE = {"gsop_position": {1: (3,), 2: (2, 2), 3: (1, 2, 2)}}


def pytest_generate_tests(metafunc):
    if metafunc.function.__name__ in GRAPHS:
        cases = [(name, rank) for name in BLOCKS for rank in GRIDS if rank == 2 or name in RANKED]
        marks = {rank: [pytest.mark.slow] if rank != 2 else [] for rank in GRIDS}
        metafunc.parametrize(
            ("name", "rank"), [pytest.param(n, rank, marks=marks[rank], id=f"{n}-{rank}d") for n, rank in cases]
        )
        return
    own = {argument for mark in metafunc.definition.iter_markers("parametrize") for argument in mark.args[:1]}
    if "name" in metafunc.fixturenames and "name" not in own:
        metafunc.parametrize("name", getattr(metafunc.module, "NAMES", list(BLOCKS)))
    if "rank" in metafunc.fixturenames:
        slow = (1, 3) if metafunc.function.__name__ in DIFFERENCES else (1,)
        marks = {rank: [pytest.mark.slow] if rank in slow else [] for rank in GRIDS}
        metafunc.parametrize("rank", [pytest.param(rank, marks=marks[rank], id=f"{rank}d") for rank in GRIDS])


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out the slow ones
def pytest_collection_modifyitems(items):
    """The series of the Gaussian RBF has the largest graph."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        if parameters and parameters.params.get("name") == "cgnl_rbf" and item.originalname in GRAPHS:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def poisoned_memory():
    """New memory is filled with NaN, as torch does for deterministic algorithms: reading an unwritten number shows."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def build(name, request):
    """`build(**options)`: a fresh block for maps of the test's rank (images, where it has none)."""
    small = SMALL.get(name, {})
    if name in COARSE:
        rank = request.getfixturevalue("rank") if "rank" in request.fixturenames else 2
        small = {**small, "size": COARSE[name][rank]}

    def build(**options):
        return BLOCKS[name].make(CHANNELS, **small, **options)

    return build


@pytest.fixture
def alive(build):
    """`alive(**options)`: a block in float64 without a zero anywhere."""

    def alive(**options):
        block = build(**options).double()
        for parameter in block.parameters():
            nn.init.normal_(parameter, std=0.5)
        for norm in block.modules():
            if isinstance(norm, nn.BatchNorm1d):
                nn.init.normal_(norm.running_mean)
                nn.init.uniform_(norm.running_var, 0.5, 2)
        return block

    return alive


@pytest.fixture
def grid(rank):
    return GRIDS[rank]


@pytest.fixture
def x(grid):
    return torch.randn(2, CHANNELS, *grid, dtype=torch.float64)
