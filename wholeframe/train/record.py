"""The JSON files of a run: read with a check of form, types and checksums, so that no damage passes as a value."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_type_hints

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from wholeframe.train.whole_files import digest, digest_of, json_text

TYPES: dict[str, Any] = {
    "classes": list[str],
    "data": str | None,
    "start": str | None,
    "start_sha256": str | None,
    "location": dict[str, Any],
    "devices": dict[str, Any],
    "sha256": dict[str, str],
}
"""Entries of environment.json that are read; the others are for people."""

OWN = "environment.json"
"""The entry of environment.json with its own checksum, which is taken without this entry."""


def read_json(file: Path, folder: Path) -> dict[str, Any]:
    """The content of a JSON file of the run in `folder`. ValueError if it is missing or damaged."""
    if not file.is_file():
        raise ValueError(
            f"'{folder}' is not a run folder: it has no {file.name}; "
            "`wholeframe train RECIPE --data DIR --out RUN` writes one"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(_damaged(file, folder, f"it is not JSON: {error}")) from error
    if not isinstance(content, dict):
        raise ValueError(_damaged(file, folder, f"it holds a {type(content).__name__} instead of an object"))
    return content


def sealed(record: dict[str, Any]) -> dict[str, Any]:
    """The content of environment.json with its own checksum."""
    plain = json.loads(json_text(record))
    checksums = {name: value for name, value in plain["sha256"].items() if name != OWN}
    plain = {**plain, "sha256": checksums}
    return {**plain, "sha256": {**checksums, OWN: digest_of(json_text(plain))}}


def unsealed(content: dict[str, Any], file: Path, folder: Path) -> dict[str, Any]:
    """The content of environment.json, if it is whole. One of an earlier version has no checksum.

    Args:
        content: the entries.
        file: the path of environment.json.
        folder: the run.
    """
    for name, kind in TYPES.items():
        if name in content or name == "classes":
            try:
                check_type(content.get(name), kind, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
            except TypeCheckError as error:
                raise ValueError(_damaged(file, folder, f"its entry {name!r} is not what a training writes")) from error
    if "sha256" in content and sealed(content)["sha256"][OWN] != content["sha256"].get(OWN):
        raise ValueError(_damaged(file, folder, "its checksum differs from its content"))
    return content


def refuse_changed(file: Path, known: Sequence[str], folder: Path) -> None:
    """ValueError if the file has none of the known checksums; none are known of runs of earlier versions."""
    if known and digest(file) not in known:
        raise ValueError(_damaged(file, folder, "its checksum differs from the one in environment.json"))


def typed(value: Any) -> None:
    """ValueError if a field of a dataclass, at any depth, has a value of another type than its annotation."""
    hints = get_type_hints(type(value))
    for field in dataclasses.fields(value):
        part = getattr(value, field.name)
        try:
            check_type(part, hints[field.name], collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
        except TypeCheckError as error:
            raise ValueError(f"{field.name}={part!r} of {type(value).__name__}: {error}") from error
        if dataclasses.is_dataclass(part):
            typed(part)


def _damaged(file: Path, folder: Path, reason: str) -> str:
    return (
        f"'{file}' is damaged or was changed ({reason}); put a whole copy in its place, or begin another run with "
        f"another --out; --start '{folder / 'last.ckpt'}' takes the weights of this one, if it has any"
    )
