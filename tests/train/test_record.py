"""The JSON files of a run are checked for form, types and checksums."""

import dataclasses
import json

import pytest

from wholeframe.models.build import ModelConfig
from wholeframe.train.recipe import Recipe, Schedule
from wholeframe.train.record import read_json, sealed, typed, unsealed
from wholeframe.train.run import Run


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "run")
    run.write(Recipe(), ("cat", "dog"), "photos", samples=[("train", "a", "cat")], location={"strict": True})
    return run


def test_a_record_comes_back(run):
    record = run.record()
    assert record["classes"] == ["cat", "dog"] and record["location"] == {"strict": True}
    assert run.samples() == [("train", "a", "cat")] and run.recipe() == Recipe()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_no_json_object(run, content):
    for file, read in ((run.recipe_file, run.recipe), (run.environment_file, run.classes)):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{file.name}' is damaged or was changed \(it "):
            read()


@pytest.mark.parametrize("value", [None, "cat", [1], {"a": 1}])
def test_entries_of_another_type(run, value):
    content = json.loads(run.environment_file.read_text())
    for name in ("classes", "sha256", "location"):
        run.environment_file.write_text(json.dumps({**content, name: value}))
        with pytest.raises(ValueError, match=r"environment\.json' is damaged or was changed \("):
            run.record()


def test_an_entry_of_the_right_type_that_changed(run):
    content = json.loads(run.environment_file.read_text())
    run.environment_file.write_text(json.dumps({**content, "classes": ["cat", "cow"]}))
    with pytest.raises(ValueError, match="its checksum differs from its content"):
        run.classes()


def test_a_record_of_an_earlier_version(tmp_path):
    content = {"classes": ["cat"], "data": None}
    (tmp_path / "environment.json").write_text(json.dumps(content))
    assert Run(tmp_path).classes() == ("cat",) and Run(tmp_path).samples() is None


def test_a_seal_is_that_of_the_content():
    record = {"classes": ("cat",), "sha256": {"recipe.json": "x"}}
    assert sealed(sealed(record)) == sealed(record)
    assert unsealed(sealed(record), None, None)["classes"] == ["cat"]


def test_a_recipe_that_changed(run):
    text = run.recipe_file.read_text()
    run.recipe_file.write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ValueError, match=r"recipe\.json' is damaged or was changed \(its checksum differs"):
        run.recipe()


def test_a_recipe_that_is_replaced(run):
    other = dataclasses.replace(Recipe(), schedule=Schedule(epochs=30))
    before = run.recipe_file.read_bytes()
    run.rewrite(other)
    assert run.recipe() == other and run.record()["location"] == {"strict": True}
    run.recipe_file.write_bytes(before)  # what a kill between the two files leaves
    assert run.recipe() == Recipe()


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("seed", {"seed": "0"}),
        ("model", {"model": 5}),
        ("schedule", {"schedule": None}),
        ("data", {"data": ModelConfig()}),
        ("precision", {"precision": "64-true"}),
        ("at", {"model": ModelConfig(at=("layer1", 2))}),
    ],
)
def test_fields_of_another_type(field, change):
    typed(Recipe())
    with pytest.raises(ValueError, match=f"{field}="):
        typed(dataclasses.replace(Recipe(), **change))


def test_another_folder(tmp_path):
    with pytest.raises(ValueError, match=r"is not a run folder: it has no recipe\.json"):
        read_json(tmp_path / "recipe.json", tmp_path)
