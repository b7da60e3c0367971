"""The content of the report of a comparison: its rows, its sentences, and what is left out."""

import pytest
from PIL import Image

from wholeframe.commands.compare_page import content_of
from wholeframe.models.build import ModelConfig
from wholeframe.recipes.tables import TABLES
from wholeframe.train.arms import Arm, baselines, grid
from wholeframe.train.compare import Result, ShapesResult

FACTS = {"torch": "2", "float32_matmul": "highest"}


def arms(task="recall", blocks=(None, "nl", "se")):
    return [Arm(task, block or "none", ModelConfig(backbone="small_dense", block=block)) for block in blocks]


def result(training, accuracy, kind=Result, **more):
    given = {"network_params": 12345, "batches": str(training.seed), "steps": 300, "losses": [0.7, 0.5 - accuracy / 10]}
    return kind(*training.key, 9, 99, accuracy, 1.0, 1.0, **{**given, **more})


def made(tmp_path, given, results, tables=None, seeds=2):
    return content_of(grid(given, seeds), results, baselines(given), tables or {}, "the command", FACTS, tmp_path)


def test_arms_keep_their_number_while_others_are_missing(tmp_path):
    trainings = grid(arms(), 2)
    content = made(tmp_path, arms(), [result(trainings[2], 0.6)])
    (group,) = content.groups
    assert (content.done, content.planned) == (1, 6)
    assert [row[0] for row in group.rows] == ["none", "nl", "se"] and set(group.rows[0][1:]) == {""}
    assert [(arm.number, arm.name) for arm in group.arms] == [(3, "se")]
    assert {len(row) for row in group.rows} == {len(group.columns)}
    assert content.short == [], "a single arm is not compared"


def test_means_over_seeds(tmp_path):
    trainings = grid(arms(), 2)
    results = [
        result(each, 0.5 + 0.1 * n, on_answer=0.9 if each.arm.name == "nl" else None)
        for n, each in enumerate(trainings)
    ]
    content = made(tmp_path, arms(), results)
    (group,) = content.groups
    bare, *_ = group.arms
    assert bare.score == pytest.approx(0.65) and bare.losses == pytest.approx([0.7, 0.5 - 0.065])
    assert bare.steps == 300 and bare.costs == {"parameters": 12345, "multiply-adds": 99, "inference, ms": 1.0}
    assert group.columns[-1] == "on answer" and [row[-1] for row in group.rows] == ["", "90.0%", ""]
    assert group.rows[1][5].startswith("+0.100 [")
    assert content.facts["seeds"] == "0 to 1" and content.facts["float32 matmul"] == "highest"
    assert content.facts["steps, recall"] == "300 of each training"


@pytest.mark.parametrize(
    ("accuracies", "end"),
    [
        ([0.5, 0.8, 0.6, 0.5, 0.81, 0.61], "+0.305 [+0.241, +0.369], and the interval does not contain 0."),
        ([0.5, 0.8, 0.6, 0.5, 0.51, 0.41], "[-1.687, +1.997], and the interval contains 0."),
        (
            [0.9, 0.8, 0.6, 0.9, 0.51, 0.41],
            "recall: none has the highest mean accuracy, 0.900 ± 0.000, and is the baseline.",
        ),
        ([0.5, 0.8, 0.6], "+0.300, and one seed has no interval."),
    ],
)
def test_the_result_in_a_sentence(tmp_path, accuracies, end):
    trainings = grid(arms(), 2)
    results = [result(each, accuracy) for each, accuracy in zip(trainings, accuracies, strict=False)]
    (sentence,) = made(tmp_path, arms(), results).short
    assert sentence.endswith(end) and sentence.startswith("recall: ")


def test_without_a_baseline_there_is_no_difference(tmp_path):
    given = arms(blocks=("nl", "se"))
    content = made(tmp_path, given, [result(each, 0.5) for each in grid(given, 2)])
    assert content.short == ["recall: nl has the highest mean accuracy, 0.500 ± 0.000."]


def test_pictures_and_arms_without_one(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "attention-recall-nl.png")
    trainings = grid(arms(), 2)
    content = made(tmp_path, arms(), [result(each, 0.5) for each in trainings])
    assert [(each.title, each.file.name) for each in content.pictures] == [("recall: nl", "attention-recall-nl.png")]
    assert content.without == ["recall: se"]
    early = made(tmp_path, arms(), [result(trainings[0], 0.5)])
    assert not early.pictures and not early.without, "an old picture of a training that is repeated is not shown"


def test_published_figures_are_marked(tmp_path):
    tables = {name: TABLES[name] for name in ("nonlocal-2a", "nonlocal-2g")}
    given = [row.arm for table in tables.values() for row in table.rows]
    content = made(tmp_path, given, [result(each, 0.5) for each in grid(given, 2)], tables)
    for group, (name, table) in zip(content.groups, tables.items(), strict=True):
        assert group.title.startswith(f"{name}: ") and group.columns[-1] == "published, not ours"
        assert [row[-1] for row in group.rows] == [row.published for row in table.rows]
        assert any("Published, not ours: " in sentence for sentence in group.said)
    assert list(content.groups[1].scores) == ["recall_cut", "recall_long"]


def test_shapes_have_another_score(tmp_path):
    given = arms("shapes", (None, "nl"))
    content = made(tmp_path, given, [result(each, 0.5, ShapesResult, own_form=0.4) for each in grid(given, 1)], seeds=1)
    (group,) = content.groups
    assert group.scores == {"shapes": "AP50"} and "own form" in group.columns
    assert {len(row) for row in group.rows} == {len(group.columns)} and "highest mean AP50" in content.short[0]
