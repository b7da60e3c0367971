"""Assignments in Python text, read and never run: the configurations that OpenMMLab's programs save as text."""

import ast
from typing import Any


def literals(text: str) -> dict[str, Any]:
    """The names that the text assigns numbers, strings, lists, tuples and dictionaries to; `dict(a=1)` is one.

    What anything else computes is left out, within a dictionary as well.
    """
    try:
        lines = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found = {}
    for line in lines:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            try:
                found[line.targets[0].id] = _value(line.value)
            except ValueError:
                continue
    return found


def _value(node: ast.expr) -> Any:
    """The value of an expression; ValueError for one that would have to be run."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return _entries({keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None})
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return _entries({str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)})
    if isinstance(node, ast.List | ast.Tuple):
        values = [_value(item) for item in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    return ast.literal_eval(node)


def _entries(nodes: dict[str, ast.expr]) -> dict[str, Any]:
    found = {}
    for name, node in nodes.items():
        try:
            found[name] = _value(node)
        except ValueError:
            continue
    return found
