"""`wholeframe cost MODEL --fuse`: what folds into what, and the time that it saves on this machine."""

import copy

import torch
from torch import Tensor, nn

from wholeframe.commands.cost_table import kinds
from wholeframe.messages import counted, listed
from wholeframe.models.turns import Interval, in_turns, interval, ratio
from wholeframe.surgery.feeds import norms_of
from wholeframe.surgery.fuse import Fusion, fuse, fusion_of
from wholeframe.surgery.insert import remove
from wholeframe.surgery.record import blocks_of


def measure_fused(network: nn.Module, example: Tensor, name: str) -> None:
    """Fuse a network, print what became of its norms, and time inference in turns: as it is, fused, and without blocks.

    Args:
        network: stays as it is.
        example: one batch.
        name: of the network, in the printed lines.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network, example = network.to(device), example.to(device)
    fused = fuse(network, example)
    for line in told(fusion_of(fused)):
        print(line)
    networks = {"as it is": network, "fused": fused}
    blocks = [block.block for block in blocks_of(network) if block.attached]
    if blocks:
        bare = copy.deepcopy(network)
        remove(bare)
        networks["fused, without its blocks"] = fuse(bare, example) if norms_of(bare) else bare
    measured = {key: passes["inference"] for key, passes in in_turns(networks, example, kinds=("inference",)).items()}
    times = {key: interval(each.ms).median for key, each in measured.items()}
    shorter = ratio(measured["fused"], measured["as it is"])
    print(
        f"inference of {name}: {times['as it is']:,.1f} ms, fused {times['fused']:,.1f} ms: {_times(shorter)} of the "
        "time"
    )
    if blocks:
        more = ratio(measured["fused"], measured["fused, without its blocks"])
        print(f"{kinds(blocks)}, fused: {_times(more)} of the time of the fused network without them")
    print(
        f"a batch of {len(example)}, {device.type}, {counted(torch.get_num_threads(), 'thread')}, "
        f"{str(example.dtype).removeprefix('torch.')}, {len(measured['fused'].ms)} turns after one to warm up; a range "
        f"encloses the median with a probability of {shorter.probability:.2f}"
    )


def told(fusion: Fusion) -> list[str]:
    """A line about all folded norms, and one for every reason why some are left."""
    norms, blocks = counted(len(fusion.folded), "norm"), counted(len(fusion.merged), "block")
    lines = [
        f"{norms} folded, {len(fusion.left)} left, {blocks} merged; the outputs differ by {fusion.deviation:.2g} "
        "of the largest"
    ]
    reasons: dict[str, list[str]] = {}
    for norm, reason in fusion.left.items():
        reasons.setdefault(reason, []).append(norm)
    return lines + [f"  left: {listed(norms)}: {reason}" for reason, norms in reasons.items()]


def _times(found: Interval) -> str:
    return f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"
