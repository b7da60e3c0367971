"""The state of a search, as it is written and read."""

import pytest

from wholeframe.train.pace import Pace
from wholeframe.train.spent import FILE, Spent


def test_round_trip(tmp_path):
    spent = Spent(tmp_path, 12.5, [1 / 3, 1.0], {"gist: nl": Pace(1.0, 0.1)})
    spent.write()
    (tmp_path / "recipe.json").write_text("{}")
    assert Spent.read(tmp_path) == spent


def test_a_new_folder_has_spent_nothing(tmp_path):
    assert Spent.read(tmp_path) == Spent(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"seconds": "x", "parts": [], "paces": {}}', '{"seconds": 1, "parts": 1, "paces": {}}',
     '{"seconds": 1, "parts": [], "paces": {"a": 1}}', "[" * 100_000],
)  # fmt: skip
def test_damage(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(ValueError, match=r"search\.json' is damaged, so that this search cannot continue"):
        Spent.read(tmp_path)


def test_files_that_are_gone(tmp_path):
    """Without them, trainings of another length or of another command would be taken for those of this one."""
    (tmp_path / "rung-1").mkdir()
    (tmp_path / "rung-1" / "trainings.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"search\.json' is gone, without which this search cannot continue"):
        Spent.read(tmp_path)
    Spent(tmp_path).write()
    with pytest.raises(ValueError, match=r"recipe\.json' is gone, without which this search cannot continue"):
        Spent.read(tmp_path)
