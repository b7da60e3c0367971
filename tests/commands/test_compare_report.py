"""The files of a comparison while it runs and at its end, with published figures next to ours."""

import pytest
from PIL import Image

from wholeframe.commands.compare_report import Report, print_report, print_tables
from wholeframe.recipes.tables import TABLES
from wholeframe.train.arms import baselines, grid
from wholeframe.train.compare import Result

NAMES = ("nonlocal-2a", "nonlocal-2g", "gcnet-1")
STATISTICS = dict(cos_input=0.4, cos_output=0.012, cos_attention=0.02)


def result(training, accuracy, **more):
    batches = f"{training.arm.task} {training.seed}"
    return Result(*training.key, 9, 99, accuracy, 1.0, 1.0, network_params=12345, batches=batches, **more)


@pytest.fixture
def report(tmp_path):
    tables = {name: TABLES[name] for name in NAMES}
    arms = [row.arm for table in tables.values() for row in table.rows]
    return Report(tmp_path, "wholeframe compare --table ...", baselines(arms), tables, grid(arms, 2), {"torch": "2"})


@pytest.fixture
def trainings(report):
    return grid([row.arm for table in report.tables.values() for row in table.rows], 2)


def section(text, name):
    return text.partition(f"## {name}: ")[2].partition("\n## ")[0]


def test_early_figures(report, trainings):
    """After three of many trainings there are tables and a plot, with empty cells for what is not trained yet."""
    report.write([result(training, 0.5 + 0.1 * n) for n, training in enumerate(trainings[:3])])
    text = report.files()[1].read_text()
    rows = [line for line in section(text, "nonlocal-2a").splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 5
    assert rows[2].startswith("| C2D | 12,345 | 99 | 1 | 0.500 |") and rows[2].endswith("| 71.8 / 89.7 |")
    assert "| 0.600 | +0.100 | 72.5 / 90.2 |" in rows[3], "one seed has no interval"
    assert rows[-1] == "| concatenation |  |  |  |  |  | 72.8 / 90.5 |"
    with Image.open(report.files()[2]) as image:
        assert image.format == "PNG"
    page = report.files()[3].read_text()
    assert f"3 of {len(trainings)} trainings are done." in page and "published, not ours" in page


def test_published_figures_are_marked(report, trainings, capsys):
    results = [result(each, 0.5 + 0.01 * n, **STATISTICS) for n, each in enumerate(trainings)]
    report.write(results)
    print_report(report, results)
    printed = capsys.readouterr().out
    assert "…" not in printed, "nothing is cut off"
    text = report.files()[1].read_text()
    for name in NAMES:
        assert "Published, not ours: " in section(text, name) and f"{name}: {TABLES[name].title}" in printed
    assert "published, not ours" in printed and "76.5 / 92.6" in printed and "75.4 / 92.2;" in printed
    assert "cos att" in section(text, "gcnet-1") and "| 0.400 | 0.012 | 0.020 |  |" in section(text, "gcnet-1")
    assert "cos att" not in section(text, "nonlocal-2a")


def test_each_length_of_clip_has_its_own_baseline(report, trainings):
    accuracies = {"recall_cut": 0.5, "recall_long": 0.6}
    results = [result(each, accuracies.get(each.arm.task, 0.5) + 0.1 * (each.arm.name == "i3d")) for each in trainings]
    report.write(results)
    rows = section(report.files()[1].read_text(), "nonlocal-2g").splitlines()
    (first,), (second,) = ([row for row in rows if row.startswith(f"| I3D, {n} frames")] for n in (4, 8))
    assert "+0.100 [+0.100, +0.100]" in first and "+0.100 [+0.100, +0.100]" in second


def test_the_list_of_tables(capsys):
    print_tables(TABLES)
    printed = capsys.readouterr().out
    assert all(name in printed for name in TABLES) and "Instantiations: one block in res4" in printed
