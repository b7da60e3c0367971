"""Files of facebookresearch/pytorchvideo@f3142bb, `create_resnet`: a list of `blocks`, one of them perhaps a pool.

`blocks.0` is the stem, the last block the head, and those between are stages. `create_resnet` has no non-local block,
so its user has put a network with `create_nonlocal` together, in one of three ways: in a sequence after a residual
block (`blocks.2.res_blocks.1.1.conv_theta`), as a further block of a stage (`blocks.2.res_blocks.2.conv_theta`) or of
the network (`blocks.3.conv_theta`). All three run in the order of their numbers.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from wholeframe.convert import pytorchvideo
from wholeframe.convert.networks import slowfast, video
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource, first_match
from wholeframe.models.video_conventions import VideoConvention

BRANCHES = {
    "branch1_conv.": "downsample.0.",
    "branch1_norm.": "downsample.1.",
    **{f"branch2.conv_{letter}.": f"conv{n}." for n, letter in enumerate("abc", 1)},
    **{f"branch2.norm_{letter}.": f"bn{n}." for n, letter in enumerate("abc", 1)},
}
POOL = "pool2"
"""our site after the pooling of res2"""


def plan(
    shapes: Shapes,
    *,
    convention: VideoConvention | None = None,
    instantiation: slowfast.Instantiation = "softmax",
    pool: Sequence[int] = (1, 1, 1),
) -> Plan:
    """A network of `create_resnet`.

    Args:
        convention: strides and pools; None for those of its defaults, where the numbers of the blocks show whether
            there is a pooling after res2.
        instantiation, pool: of `create_nonlocal`, with its defaults.
    """
    if second := first_match(r"^multipathway_blocks\.", shapes):
        raise ValueError(slowfast.two_pathways(second))
    names, pooled = named(shapes)
    ours = video.ours(shapes, names)
    video.refuse_images(ours, video.INFLATE)
    chosen: VideoConvention = convention or ("slowfast" if pooled else "nopool")
    blocks = {}
    for site, inner in video.blocks_in(ours).items():
        channels, width = inner["out.weight"][:2]
        norm = "BatchNorm3d" if "norm.weight" in inner else None
        block = pytorchvideo.non_local(channels, width, pool, instantiation, norm)
        blocks[site] = block, slowfast.in_words(instantiation, pool)
    head = {"head": "mean over the whole last map, whatever its size"}
    return video.planned(ours, names, chosen, blocks, conventions=head)


def named(shapes: Shapes) -> tuple[dict[str, str | None], bool]:
    """The table of names of this very file, and whether its numbers leave a place for a pooling after res2."""
    names: dict[str, str | None] = {}
    stage, site, pooled, before = 0, "", False, -1
    for number in children(shapes, "blocks."):
        prefix = f"blocks.{number}."
        if number != before + 1:
            if stage != 1 or number != before + 2:
                raise ValueError(f"there is no tensor before '{prefix}'; only the pooling after res2 may have none")
            pooled, site = True, POOL
        before = number
        if f"{prefix}conv.weight" in shapes:
            names |= {f"{prefix}conv.": "conv1.", f"{prefix}norm.": "bn1."}
        elif f"{prefix}proj.weight" in shapes:
            names[f"{prefix}proj."] = "fc."
        elif f"{prefix}conv_theta.weight" in shapes:
            names |= block_names(prefix, site, names)
        else:
            stage += 1
            site = _stage(shapes, f"{prefix}res_blocks.", stage, names)
    return names, pooled


def _stage(shapes: Shapes, prefix: str, stage: int, names: dict[str, str | None]) -> str:
    """Add the names of a stage to the table; return the site of its last residual block."""
    index = -1
    for number in children(shapes, prefix):
        inside = f"{prefix}{number}."
        steps = [f"{inside}{step}." for step in children(shapes, inside)] or [inside]
        for step in steps:
            if f"{step}conv_theta.weight" in shapes:
                names |= block_names(step, f"layer{stage}.{index}", names)
            else:
                index += 1
                names |= {f"{step}{theirs}": f"layer{stage}.{index}.{ours}" for theirs, ours in BRANCHES.items()}
    return f"layer{stage}.{index}"


def block_names(prefix: str, site: str, names: dict[str, Any]) -> dict[str, str]:
    """The names of a non-local block that runs after our `site`."""
    ours = f"{site}.wholeframe."
    if any(value.startswith(ours) for value in names.values()):
        raise ValueError(f"'{prefix}' is the second non-local block after {site!r}, and a site has one block here")
    return {f"{prefix}{theirs}": f"{ours}{name}" for theirs, name in pytorchvideo.NAMES.items()}


def children(shapes: Shapes, prefix: str) -> Iterator[int]:
    """The numbers that follow a prefix, in their order."""
    found = (re.match(re.escape(prefix) + r"(\d+)\.", key) for key in shapes)
    yield from sorted({int(number[1]) for number in found if number})


SOURCE = WholeSource(
    repository="facebookresearch/pytorchvideo@f3142bb",
    licence="Apache-2.0",
    decisive=(r"^blocks\.0\.", r"^blocks\.1\..*branch2\.conv_a\.weight$"),
    plan=plan,
)
