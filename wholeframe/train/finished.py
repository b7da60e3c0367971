"""The finished trainings of a comparison: `trainings.jsonl`, a line for each, written when it ends.

A comparison that is stopped or killed continues with the trainings that have no line. The file is replaced as a whole,
so that no line is half written.
"""

import dataclasses
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from wholeframe.messages import shown
from wholeframe.train.arms import Key
from wholeframe.train.compare import Result, ShapesResult
from wholeframe.train.whole_files import write_text

FILE = "trainings.jsonl"

FREE = ("environment.commit",)
"""Entries of the record that may differ when a comparison continues: the commit of the folder it is started in."""


def write_finished(results: Collection[Result], folder: Path) -> None:
    """Write the lines of all finished trainings."""
    lines = (json.dumps(dataclasses.asdict(result)) for result in results)
    write_text(folder / FILE, "".join(f"{line}\n" for line in lines))


def read_finished(folder: Path, keys: Collection[Key]) -> dict[Key, Result]:
    """The finished trainings of a folder by task, arm and seed; none if it has no such file.

    Args:
        folder: of the comparison.
        keys: those of all its trainings.

    Raises:
        ValueError: for a line that is damaged, or belongs to no training of this comparison.
    """
    file = folder / FILE
    if not file.exists():
        return {}
    found: dict[Key, Result] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="surrogateescape").splitlines(), start=1):
        result = _result(line)
        if result is None or result.key not in keys or result.key in found:
            raise ValueError(
                f"line {number} of '{file}' is damaged, or of no training of this comparison; delete the line, and the "
                "same command repeats that training"
            )
        found[result.key] = result
    return found


def _result(line: str) -> Result | None:
    try:
        row = json.loads(line)
        kind = ShapesResult if "own_form" in row else Result
        fields = {field.name: field.type for field in dataclasses.fields(kind)}
        right = row.keys() == fields.keys() and all(_is(row[name], kinds) for name, kinds in fields.items())
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return kind(**row) if right else None


def _is(value: object, kinds: Any) -> bool:
    """Whether a value of JSON has one of the types of a field."""
    if get_origin(kinds) is list:
        return isinstance(value, list) and all(_is(each, *get_args(kinds)) for each in value)
    return isinstance(value, kinds) and not isinstance(value, bool)


def refuse_other_record(folder: Path, record: Mapping[str, Any]) -> None:
    """ValueError if the comparison in this folder was made by another command, other data or another version.

    Args:
        folder: of the comparison; it may have no `recipe.json` yet.
        record: that of the comparison to make, in types that JSON has.
    """
    file = folder / "recipe.json"
    if not file.exists():
        if (folder / FILE).exists():
            raise ValueError(
                f"'{folder / FILE}' has finished trainings, and '{file}', which says what they are, is gone; put it "
                "back, or give another --out"
            )
        return
    there = json.loads(file.read_text(encoding="utf-8", errors="surrogateescape"))
    changed = _changed(there, json.loads(json.dumps(record)))
    if changed is not None:
        name, before, now = changed
        kind = "search" if "search" in record else "comparison"
        raise ValueError(
            f"'{folder}' holds another {kind} ({name} was {_short(before)} there and is {_short(now)} here); give "
            "another --out, or repeat its command to continue it"
        )


def _short(value: Any) -> str:
    return shown(json.dumps(value), 60)


def _changed(there: Any, here: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """The name and both values of the first entry that differs."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in [*there, *(key for key in here if key not in there)]:
            path = f"{name}.{key}" if name else key
            if changed := _changed(there.get(key), here.get(key), path):
                return changed
        return None
    return None if there == here or name in FREE else (name, there, here)
