"""Published tables: their arms can be built, and the figures are those of the papers."""

import pytest
import torch

from wholeframe.models.build import build
from wholeframe.recipes.compared import Compared
from wholeframe.recipes.tables import TABLES
from wholeframe.train.arms import Training, baselines, grid

ARMS = {training.key[:2]: training.arm for training in grid([r.arm for t in TABLES.values() for r in t.rows], 1)}


@pytest.fixture(params=TABLES)
def table(request):
    return TABLES[request.param]


def test_rows_of_a_table_are_distinct(table):
    assert len({row.label for row in table.rows}) == len({row.arm.name + row.arm.task for row in table.rows})
    assert len(table.rows) == len({row.label for row in table.rows})


def test_a_table_begins_with_its_baseline(table):
    assert (
        table.rows[0].arm.bare and {row.arm.task for row in table.rows} == baselines([r.arm for r in table.rows]).keys()
    )


def test_published_figures_are_two_percentages(table):
    figures = [tuple(map(float, row.published.partition(";")[0].split(" / "))) for row in table.rows if row.published]
    assert all(len(figure) == 2 and 30 < figure[0] < 100 and 30 < figure[1] < 100 for figure in figures)


@pytest.mark.slow_beyond(6)
@pytest.mark.parametrize(("task", "name"), ARMS)
def test_its_networks_can_be_built(task, name):
    arm = ARMS[task, name]
    network = build(arm.model, 2, Compared(1).recipe(Training(arm, 0)).data.example())
    blocks = [path for path, _ in network.named_modules() if path.endswith(".wholeframe")]
    assert bool(blocks) != arm.bare
    assert all(torch.isfinite(p).all() for p in network.parameters())


@pytest.mark.parametrize(
    ("name", "label", "printed"),
    [
        ("nonlocal-2a", "dot product", "72.9 / 90.3"),
        ("nonlocal-2b", "res5", "72.3 / 90.1"),
        ("nonlocal-2c", "10 blocks", "74.3 / 91.2"),
        ("nonlocal-2c", "5 plain residual blocks", ""),
        ("nonlocal-2d", "time", "73.1 / 90.5"),
        ("nonlocal-2e", "NL C2D, 5 blocks", "75.1 / 91.7"),
        ("nonlocal-2f", "I3D", "73.3 / 90.7"),
        ("nonlocal-2g", "NL I3D, 5 blocks, 8 frames", "76.5 / 92.6"),
        ("gcnet-1", "COCO, concat", "38.0 / 34.9; .393 .003 .004 -"),
        ("gcnet-1", "Kinetics, dot", "76.0 / 92.3; .353 .095 .099 -"),
        ("gcnet-2a", "+1 SNL", "38.1 / 35.0"),
        ("gcnet-2c", "c4", "38.9 / 35.5"),
        ("gcnet-2f", "avg + scale (SE)", "38.2 / 34.7"),
        ("gcnet-4", "+all GC", "77.70 / 93.66"),
        ("cgnl-3", "+1 residual block", "84.11 / 96.23"),
    ],
)
def test_figures_as_printed(name, label, printed):
    (row,) = [row for row in TABLES[name].rows if row.label == label]
    assert row.published == printed


def test_five_blocks_are_the_same_arm_in_three_tables():
    names = {row.arm.name for table in TABLES.values() for row in table.rows if row.label in ("5 blocks", "spacetime")}
    assert len(names) == 1
    assert len(grid([row.arm for n in "abcd" for row in TABLES[f"nonlocal-2{n}"].rows], 3)) == 15 * 3
