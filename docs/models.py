"""Writes docs/models.md and wholeframe/models/counts.py: `uv run python docs/models.py`."""

from pathlib import Path

from wholeframe.models.zoo import MODELS
from wholeframe.models.zoo.published import counted, figures

ROOT = Path(__file__).parent.parent
PAGE = """\
# The named networks

Made by `uv run python docs/models.py`. Published figures are not ours, and each has its source; *unverified* are those
that stand in a secondary source only. *Ours* is a count of our code, with as many digits as were printed; where it is
another number, the note says why. Multiply-adds are those of convolutions, matrix products and attention, for one
sample. `wholeframe models NAME` shows one card, `wholeframe cost NAME --measure` runs the network.

{networks}

## Published figures

{published}
"""
COUNTS = """\
\"\"\"Parameters and multiply-adds of every named network. Written by `uv run python docs/models.py`.\"\"\"

COUNTS: dict[str, tuple[int, int]] = {{
{rows}
}}
"""


def page() -> str:
    networks = [["name", "paper", "input", "parameters", "multiply-adds"], ["---", "---", "---", "---:", "---:"]]
    published = [["name", "published", "ours", "unit", "source", "note"], ["---", "---:", "---:", "---", "---", "---"]]
    for name, network in MODELS.items():
        cost, sample = counted(name), " x ".join(map(str, network.input))
        networks.append([f"`{name}`", network.paper, sample, f"{cost.params:,}", f"{cost.macs:,}"])
        for row in figures(name):
            figure = row.published
            published.append([f"`{name}`", figure.figure, row.ours or "", figure.unit, figure.source, row.note])
    return PAGE.format(networks=_table(networks), published=_table(published))


def counts() -> str:
    costs = {name: counted(name) for name in MODELS}
    return COUNTS.format(rows="\n".join(f'    "{name}": ({c.params:_}, {c.macs:_}),' for name, c in costs.items()))


def _table(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


if __name__ == "__main__":
    (ROOT / "docs" / "models.md").write_text(page())
    (ROOT / "wholeframe" / "models" / "counts.py").write_text(counts())
