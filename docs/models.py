"""Write docs/models.md and wholeframe/models/zoo/sizes.py: `uv run python docs/models.py`."""

from pathlib import Path

from wholeframe.models.zoo import MODELS
from wholeframe.models.zoo.published import compare_figures, cost_of

ROOT = Path(__file__).parent.parent
PAGE = """\
# The named networks

Written by `uv run python docs/models.py`. Published figures are those of their sources, not measured here; *unverified*
figures were found in a secondary source only. *Ours* is counted from our code and printed with as many digits; the note
says why it differs. Multiply-adds are those of one sample: convolutions, matrix products and attention as they run, and
each block as its definition, so that the numbers depend on neither dtype nor machine. Those of a detector are of its
ResNet with the feature pyramid, because those of the heads depend on the objects in an image; its parameters are all.
`wholeframe models NAME` shows one card, `wholeframe cost NAME --measure` runs the network.

{networks}

## Published figures

{published}
"""
SIZES = """\
\"\"\"Parameters and multiply-adds of every named network. `uv run python docs/models.py` writes this file.\"\"\"

SIZES: dict[str, tuple[int, int]] = {{
{rows}
}}
"""


def page() -> str:
    """The text of docs/models.md."""
    networks = [["name", "paper", "input", "parameters", "multiply-adds"], ["---", "---", "---", "---:", "---:"]]
    published = [["name", "published", "ours", "unit", "source", "note"], ["---", "---:", "---:", "---", "---", "---"]]
    for name, card in MODELS.items():
        cost, sample = cost_of(name), " x ".join(map(str, card.input))
        networks.append([f"`{name}`", card.paper, sample, f"{cost.params:,}", f"{cost.macs:,}"])
        for row in compare_figures(name):
            figure = row.published
            published.append([f"`{name}`", figure.figure, row.ours or "", figure.unit, figure.source, row.note])
    return PAGE.format(networks=_table(networks), published=_table(published))


def sizes() -> str:
    """The text of wholeframe/models/zoo/sizes.py."""
    costs = {name: cost_of(name) for name in MODELS}
    return SIZES.format(rows="\n".join(f'    "{name}": ({c.params:_}, {c.macs:_}),' for name, c in costs.items()))


def _table(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


if __name__ == "__main__":
    (ROOT / "docs" / "models.md").write_text(page())
    (ROOT / "wholeframe" / "models" / "zoo" / "sizes.py").write_text(sizes())
