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

`ContextBlock(channels, context=..., transform=..., fusion=...)` summarises the whole map, changes the summary, and
gives it back to every position (Cao et al., GCNet, 2019, section 3):

    z_i = x_i * gate(delta_m(context(x))) + delta_a(context(x))

`fusion="multiply"` has the product only, `"add"` the sum only, `"multiply_add"` both, each with a transform of its own.
Gates are {gates}. Born zero, a fresh block returns its input where it adds, or multiplies by `"twice_sigmoid"`.

Made by `uv run python docs/framework.py > docs/framework.md`: what stands here is read off the blocks that the calls in
the last table build, and the parameters and multiply-adds are theirs for one map of {size}.

## Contexts

{contexts}

## Transforms

{transforms}

## Published blocks, as points

{points}

Outside of the product: `NonLocal` and `BAT` have a summary for every query, `CGNL` one scalar per group that meets
every channel of every position, `GSoPPosition`, `SpatialGate` (the second half of CBAM) and `GatherExcite` over windows
gate positions.
"""


def table(*rows: tuple[str, ...]) -> str:
    header, *body = rows
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ("---",) * len(header), *body))


def parts(names: tuple[str, ...]) -> str:
    """Every part with the equation that its docstring begins with."""
    lines = [(f"`{name}`", (getattr(blocks, name).__doc__ or "").splitlines()[0]) for name in names]
    return table(("part", "is"), *((name, line.replace("|", "\\|")) for name, line in lines))


def built(call: str) -> ContextBlock:
    return eval(call, {**vars(blocks), "c": CHANNELS, "partial": partial})


def described(part: object) -> str:
    """The class of a part, with the norm of a bottleneck."""
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
