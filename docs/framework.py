"""Writes docs/framework.md: `uv run python docs/framework.py > docs/framework.md`."""

from functools import partial

from wholeframe import blocks
from wholeframe.blocks import Bottleneck, ContextBlock
from wholeframe.blocks.context import GATES

CHANNELS, GRID = 256, (14, 14)
CONTEXTS = (
    "MeanContext",
    "MaxContext",
    "MeanMaxContext",
    "MeanAndMaxContext",
    "StdContext",
    "AttentionContext",
    "CovarianceContext",
)
TRANSFORMS = ("IdentityTransform", "LinearTransform", "Bottleneck", "SharedBottleneck", "ChannelConv", "RowConv")
POINTS = {
    "SE": "SqueezeExcite(c)",
    "SE of timm with `add_maxpool`": 'SqueezeExcite(c, context="mean_max")',
    "eSE": "EffectiveSqueezeExcite(c)",
    "ECA": "EfficientChannelAttention(c)",
    "gather-excite, theta minus": (
        'ContextBlock(c, context=MeanContext, transform=IdentityTransform, fusion="multiply", init="random")'
    ),
    "CBAM, its first half": "CBAM(c).channel",
    "SNL": "SimplifiedNonLocal(c)",
    "GC": "GlobalContext(c)",
    **{
        f"GC, {'average' if context == 'mean' else 'attention'} pooling, {words}": (
            f'GlobalContext(c, context="{context}", fusion="{fusion}")'
        )
        for context in ("attention", "mean")
        for fusion, words in (("add", "add"), ("multiply", "scale"), ("multiply_add", "scale and add"))
        if (context, fusion) != ("attention", "add")
    },
    "MASTER's GC": ('ContextBlock(c, context=partial(AttentionContext, heads=8), transform=Bottleneck, init="random")'),
    "GSoP, channel-wise": "GSoPChannel(c)",
}
PAGE = """\
# Context x transform x fusion

`ContextBlock(channels, context=..., transform=..., fusion=...)` summarises the whole map in one vector, transforms it,
and fuses the result with every position (Cao et al., GCNet, 2019, section 3):

    z_i = x_i * gate(delta_m(context(x))) + delta_a(context(x))

`fusion="multiply"` has the product only, `"add"` the sum only, `"multiply_add"` both, with a separate transform for
each. Gates are {gates}. With `init="zero"` the last layer of the transform starts at zero: a fresh block then returns
its input where it adds or multiplies by `"twice_sigmoid"`, and halves it where it multiplies by another gate.
`init="identity"` is the same, and raises an error for such a gate. `init="random"` leaves the last layer random.

`uv run python docs/framework.py > docs/framework.md` writes this page: it builds the blocks of the last table, and
counts their parameters and their multiply-adds for one map of {size}.

## Contexts

{contexts}

## Transforms

{transforms}

## Published blocks, as points

{points}

Not points of this product: `NonLocal` and `BAT` have a separate summary for every query, `CGNL` multiplies every
channel of every position by one scalar per group, and `GSoPPosition`, `SpatialGate` (the second half of CBAM) and
`GatherExcite` gate positions.
"""


def table(*rows: tuple[str, ...]) -> str:
    header, *body = rows
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ("---",) * len(header), *body))


def parts(names: tuple[str, ...]) -> str:
    """Every part with the equation in the first line of its docstring."""
    lines = [(f"`{name}`", (getattr(blocks, name).__doc__ or "").splitlines()[0]) for name in names]
    return table(("part", "equation"), *((name, line.replace("|", "\\|")) for name, line in lines))


def built(call: str) -> ContextBlock:
    return eval(call, {**vars(blocks), "c": CHANNELS, "partial": partial})


def described(part: object) -> str:
    """The class of a part; for a bottleneck also its norm."""
    name = type(part).__name__
    if not isinstance(part, Bottleneck):
        return name
    return f"{name}, {'no norm' if part.norm is None else type(part.norm).__name__}"


def row(name: str, call: str) -> tuple[str, ...]:
    block = built(call)
    fusion = block.fusion if block.multiply is None else f"{block.fusion}, {block.gate}"
    return (
        name,
        f"`{call}`",
        described(block.context),
        described(block.multiply or block.add),
        fusion,
        f"{sum(parameter.numel() for parameter in block.parameters()):,}",
        f"{block.multiply_adds(GRID):,}",
        "yes" if block.identity_at_init else "no",
    )


def page() -> str:
    columns = (
        "block",
        "call",
        "context",
        "transform",
        "fusion",
        "parameters",
        "multiply-adds",
        "identity at initialisation",
    )
    return PAGE.format(
        gates=", ".join(f'`"{gate}"`' for gate in GATES),
        size=" x ".join(map(str, (CHANNELS, *GRID))),
        contexts=parts(CONTEXTS),
        transforms=parts(TRANSFORMS),
        points=table(columns, *(row(name, call) for name, call in POINTS.items())),
    )


if __name__ == "__main__":
    print(page(), end="")
