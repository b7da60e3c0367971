"""The tests themselves: none returns before it asserts, and each file carries the name of what it tests."""

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "wholeframe"
FILES = sorted(HERE.rglob("test_*.py"))
PROMISES = {"laws", "goldens", "docs", "tools", "faults"}  # folders about the package as a whole


def early_returns(file):
    """Lines of a `return` that is the whole body of an `if` in a test: such a case passes without an assertion."""
    for function in ast.walk(ast.parse(file.read_text())):
        if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
            for node in ast.walk(function):
                if isinstance(node, ast.If) and any(
                    isinstance(body[0], ast.Return) for body in (node.body, node.orelse) if body
                ):
                    yield f"{file.relative_to(HERE)}:{node.lineno}"


def test_no_test_returns_before_it_asserts():
    assert not [line for file in FILES for line in early_returns(file)]


def test_files_carry_the_name_of_a_module():
    """`tests/room/test_module.py`, or `test_module_promise.py` where a module keeps several promises.

    The room itself counts as a module, which is its `__init__`; `commands` has the tests of `cli` as well.
    """
    strangers = []
    for file in FILES:
        room = file.parent.relative_to(HERE)
        if room.parts[:1] and room.parts[0] not in PROMISES:
            modules = [module.stem for module in (PACKAGE / room).glob("[!_]*.py")]
            modules += [package.name for package in (PACKAGE / room).iterdir() if package.is_dir()]
            modules += [room.name, *(["cli"] if room.name == "commands" else [])]
            name = file.stem.removeprefix("test_")
            if not any(name == module or name.startswith(f"{module}_") for module in modules):
                strangers.append(str(file.relative_to(HERE)))
    assert not strangers


@pytest.mark.parametrize("fault", ["if x:\n        return", "if x:\n        assert x\n    else:\n        return"])
def test_an_early_return_is_found(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(f"{__name__}.HERE", tmp_path)
    (tmp_path / "test_it.py").write_text(f"def test_it(x):\n    {fault}\n    assert x\n")
    assert list(early_returns(tmp_path / "test_it.py")) == ["test_it.py:2"]
