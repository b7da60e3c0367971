"""A command does not write into the folder of another."""

import json

import pytest

from wholeframe.train.folder_kinds import refuse_other
from wholeframe.train.recipe import Recipe, described

TRAINING = {"recipe.json": json.dumps(described(Recipe())), "environment.json": "{}"}
COMPARISON = {"recipe.json": '{"blocks": {}, "recipes": {}, "options": {}}', "results.csv": ""}
SEARCH = {"recipe.json": '{"blocks": {}, "recipes": {}, "options": {}, "search": {}}', "search.csv": ""}
BENCHMARK = {"20260101-000000.jsonl": ""}
STRANGE = {"recipe.json": '{"eggs": 2}'}
KINDS = {"training": TRAINING, "comparison": COMPARISON, "search": SEARCH, "benchmark": BENCHMARK}


def fill(folder, files):
    for name, content in files.items():
        (folder / name).write_text(content)


@pytest.mark.parametrize("there", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_keeps_to_itself(tmp_path, there, kind):
    fill(tmp_path, KINDS[there])
    if there in (kind, "benchmark"):  # The files of a benchmark have names of their own, in a folder of anything.
        refuse_other(tmp_path, kind)
        assert sorted(file.name for file in tmp_path.iterdir()) == sorted(KINDS[there])
    else:
        with pytest.raises(ValueError, match=f"' holds a {there}.*; give another --out"):
            refuse_other(tmp_path, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", ['{"eggs": 2}', "[]", "not JSON", "[" * 100_000])
def test_a_recipe_of_another_program(tmp_path, kind, content):
    fill(tmp_path, {"recipe.json": content})
    with pytest.raises(ValueError, match=r"holds a recipe\.json that this program did not write, or that is damaged"):
        refuse_other(tmp_path, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_other_files_are_in_nobodys_way(tmp_path, kind):
    fill(tmp_path, {"log.txt": "", "notes.md": ""})
    refuse_other(tmp_path, kind)
    refuse_other(tmp_path / "new", kind)
    with pytest.raises(ValueError, match=r"log\.txt' is a file, and the results are written to a folder"):
        refuse_other(tmp_path / "log.txt", kind)
