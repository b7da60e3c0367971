"""Run folders that were written before 0.1.0 renamed its options: their files, in the words of this version.

A recipe, a checkpoint or a table of this version passes through unchanged.
"""

from pathlib import Path
from typing import Any

TYPES = {"Model": "ModelConfig"}
"""Renamed types of a recipe, old -> new."""

FIELDS = {
    "ModelConfig": {"host": "backbone"},
    "Images": {"test_fraction": "val_fraction"},
    "Clips": {"test_fraction": "val_fraction"},
}
"""Renamed fields, by the new name of the type."""

OPTIONS = {
    "nl": {"birth": "init", "reach": "attend_over", "groups": "frame_groups", "frames": "frames_per_group"},
    "cgnl": {"birth": "init", "reach": "max_span"},
    "": {"birth": "init"},
}
"""Renamed options of a block, by the first word of its name; `""` for every other block."""

VALUES = {("nl", "birth", "zero"): "identity", ("cgnl", "birth", "zero"): "identity"}
"""Renamed values of old options. The other blocks keep `"zero"`, which is not an identity for each of them."""


def recipe_fields(value: Any) -> Any:
    """The content of a `recipe.json`."""
    if isinstance(value, list):
        return [recipe_fields(part) for part in value]
    if not isinstance(value, dict):
        return value
    given: str = value.get("type", "")
    kind = TYPES.get(given, given)
    names = FIELDS.get(kind, {})
    fields = {names.get(name, name): recipe_fields(part) for name, part in value.items()}
    if "type" in fields:
        fields["type"] = kind
    if kind == "ModelConfig" and fields.get("block"):
        fields["options"] = block_options(fields["block"], fields.get("options", {}))
    if kind == "Recipe" and "labels" in fields:
        fields["task"] = {"type": "Classification", "labels": fields.pop("labels")}
    return fields


def block_options(block: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options of the block that is called `block`."""
    family = block.partition("_")[0]
    family = family if family in OPTIONS else ""
    return {
        OPTIONS[family].get(name, name): VALUES.get((family, name, str(value)), value)
        for name, value in options.items()
    }


def metric(name: str) -> str:
    """The new name of a column of `metrics.csv`: the split evaluated after every epoch is the validation split."""
    return f"val/{name.removeprefix('test/')}" if name.startswith("test/") else name


def callback_states(states: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The states of the callbacks in a checkpoint, for a run that now lies in `folder`.

    Lightning finds a state by the name of the metric that is watched, and drops the best score so far if the folder has
    another name than it had; then a later and worse epoch would become `best.ckpt`.
    """
    moved = {}
    for key, state in states.items():
        if isinstance(state, dict) and "dirpath" in state:
            state = dict(state)
            state["dirpath"] = str(folder)
            state["monitor"] = state["monitor"] and metric(state["monitor"])
            for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
                state[name] = _in(folder, state[name])
            state["best_k_models"] = {_in(folder, path): score for path, score in state["best_k_models"].items()}
        moved[key.replace("'monitor': 'test/", "'monitor': 'val/")] = state
    return moved


def _in(folder: Path, path: str) -> str:
    return str(folder / Path(path).name) if path else path
