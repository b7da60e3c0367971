"""What the blocks cost in a whole network: ours, the plain backbone and a peer in turns, and where the time goes.

Ratios are ours / plain: 1.03 is a network that takes 3 % longer than its backbone. The inputs are float32.
"""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

from wholeframe.bench.floor import Added, added
from wholeframe.bench.network_cases import Limits, NetworkCase
from wholeframe.bench.profile_by_block import Where, profile_by_block
from wholeframe.bench.sides import Sides
from wholeframe.bench.timing import Samples, Timing, time_in_turns
from wholeframe.models.cost import cost
from wholeframe.models.measure import peak_bytes
from wholeframe.models.products import FORMULAS
from wholeframe.models.turns import KINDS, Kind
from wholeframe.surgery.fuse import fuse

Layout = Literal["contiguous", "channels_last"]
Mode = Literal["eager", "compiled", "fused"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
MODES: tuple[Mode, ...] = get_args(Mode)
MIB = 2**20
NEAR = 1.15
"""ours is at the floor if the blocks take at most this multiple of the least time"""
STEP = 1e-6
"""learning rate of the training step: the weights stay finite however often it runs"""


@dataclass(frozen=True)
class Setting:
    """How the networks run: samples in a batch, order of the axes in memory, threads; eager, compiled, or
    fused by `wf.fuse`, which is for inference alone."""

    batch: int = 1
    layout: Layout = "contiguous"
    mode: Mode = "eager"
    threads: int = 1


@dataclass(frozen=True)
class NetworkOutcome:
    """A line of the results: one network, one setting, one kind of pass.

    Ratios are ours / plain, medians over the turns; `peer_ratio` is peer / plain, `against_peer` ours / peer. Times are
    medians in milliseconds, spreads half the distance between quartiles over the median, memory is the peak above
    weights, their gradients and the input. `floor` is the ratio that the least time of the blocks gives, and
    `over_floor` the time of the blocks, ours - plain, over the least. `blocks` and `by_block` are times from a profile
    of the eager network, in all blocks together and in each of them; `rest` is that of everything else.
    """

    network: str
    sample: tuple[int, ...]
    batch: int
    layout: Layout
    mode: Mode
    threads: int
    kind: Kind
    ratio: float
    memory_ratio: float
    ours_ms: float
    ours_spread: float
    plain_ms: float
    plain_spread: float
    ours_mib: float
    plain_mib: float
    peer: str | None
    peer_ratio: float | None
    peer_memory_ratio: float | None
    against_peer: float | None
    difference: float | None
    added_macs: int
    added_bytes: int
    product_gmacs: float
    gemm_gflops: float
    copy_gibs: float
    floor_ms: float
    floor: float
    over_floor: float
    blocks: dict[str, float] | None
    rest: dict[str, float] | None
    by_block: dict[str, dict[str, float]] | None
    rounds: int
    rejected: int
    goal: float | None
    memory_goal: float | None

    @property
    def near_floor(self) -> bool:
        """Whether the blocks take little more than the least time, which counts as a goal that is reached."""
        return self.over_floor <= NEAR

    @property
    def reached(self) -> list[bool]:
        """Whether each goal is reached: time, memory, and faster than the peer."""
        found = [] if self.goal is None else [self.ratio <= self.goal or self.near_floor]
        found += [] if self.memory_goal is None else [self.memory_ratio <= self.memory_goal]
        return found + ([] if self.against_peer is None else [self.against_peer < 1])


def measure_network(
    case: NetworkCase, sides: Sides, setting: Setting, *, rounds: int, budget: float, device: torch.device
) -> Iterator[NetworkOutcome]:
    """Measure inference, then the training step, of all sides of a case in turns.

    A training step is a forward pass in training mode, a backward pass from the sum of the outputs, and a step of SGD
    without momentum. The rate of products is that of the plain backbone, eager, in the same process and setting.

    Args:
        case: the network and its goals.
        sides: its networks, see `build_sides`; their weights and running statistics change.
        setting: how they run.
        rounds: number of turns at most.
        budget: seconds after which no further turn starts; three turns run in any case.
        device: of the networks.
    """
    with _threads(setting.threads):
        order = _order(setting.layout, 1 + len(case.sample))
        example = torch.randn(setting.batch, *case.sample, device=device).to(memory_format=order)
        for network in sides.networks.values():
            network.to(memory_format=order)
        rows = cost(sides.ours, example).blocks
        for kind in KINDS if setting.mode != "fused" else KINDS[:1]:
            eager = Pass(kind, sides.plain, example)
            plain = profile_by_block(eager.run, sides.plain, device)[""]
            rate = 1000 * _macs(eager) / plain.products
            ours = profile_by_block(Pass(kind, sides.ours, example).run, sides.ours, device)
            made = _made(sides.networks, setting.mode, example)
            passes = {name: Pass(kind, network, example) for name, network in made.items()}
            timed = time_in_turns({name: each.run for name, each in passes.items()}, device, rounds, budget)
            memory = {name: peak_bytes(each.without_step, device) / MIB for name, each in passes.items()}
            for each in passes.values():
                each.forget()
            least = added(rows, sides.ours, kind)
            yield _outcome(case, sides, setting, kind, timed, memory, least, rate, ours)


class Pass:
    """One kind of pass of a network, to be run again and again; making it sets the mode of the network."""

    def __init__(self, kind: Kind, network: nn.Module, example: Tensor):
        self.network, self.example = network.train(kind == "training step"), example
        self.optimiser = torch.optim.SGD(network.parameters(), lr=STEP)
        self.run, self.without_step = {
            "inference": (self._inference, self._inference),
            "training step": (self._training_step, self._forward_and_backward),
        }[kind]

    def _inference(self) -> None:
        with torch.no_grad():
            self.network(self.example)

    def _training_step(self) -> None:
        self.forget()
        self._forward_and_backward()
        self.optimiser.step()

    def _forward_and_backward(self) -> None:
        leaves = pytree.tree_leaves(self.network(self.example))
        torch.stack([leaf.sum() for leaf in leaves if isinstance(leaf, Tensor)]).sum().backward()

    def forget(self) -> None:
        """Drop the gradients."""
        self.optimiser.zero_grad()


def _made(networks: Mapping[str, nn.Module], mode: Mode, example: Tensor) -> Mapping[str, nn.Module]:
    """The networks as this mode runs them."""
    if mode == "compiled":
        torch.compiler.reset()
        return {name: compiled(network) for name, network in networks.items()}
    if mode == "fused":
        return {name: fuse(network, example) for name, network in networks.items()}
    return networks


def compiled(module: nn.Module) -> nn.Module:
    """The module compiled for one size."""
    made: object = torch.compile(module, dynamic=False)
    assert isinstance(made, nn.Module)  # It is one if it gets one, but its type does not say so.
    return made


def _macs(one: Pass) -> int:
    """Multiply-adds of a pass of a network without blocks, those of its backward pass included."""
    with FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
        one.run()
    return counter.get_total_flops() // 2


def _outcome(
    case: NetworkCase,
    sides: Sides,
    setting: Setting,
    kind: Kind,
    timed: Timing,
    memory: Mapping[str, float],
    least: Added,
    rate: float,
    profiled: Mapping[str, Where],
) -> NetworkOutcome:
    ours, plain, peer = timed.samples["ours"], timed.samples["plain"], timed.samples.get("peer")
    floor = least.seconds(rate, timed.probe.copy * 2**30)
    inside = {name: share for name, share in profiled.items() if name}
    shown = setting.mode == "eager"
    return NetworkOutcome(
        network=case.name,
        sample=case.sample,
        batch=setting.batch,
        layout=setting.layout,
        mode=setting.mode,
        threads=setting.threads,
        kind=kind,
        ratio=_over(ours, plain),
        memory_ratio=memory["ours"] / memory["plain"],
        ours_ms=1000 * ours.median,
        ours_spread=ours.spread,
        plain_ms=1000 * plain.median,
        plain_spread=plain.spread,
        ours_mib=memory["ours"],
        plain_mib=memory["plain"],
        peer=None if peer is None or case.peer is None else case.peer.package,
        peer_ratio=None if peer is None else _over(peer, plain),
        peer_memory_ratio=None if peer is None else memory["peer"] / memory["plain"],
        against_peer=None if peer is None else _over(ours, peer),
        difference=sides.difference,
        added_macs=least.macs,
        added_bytes=least.bytes,
        product_gmacs=rate / 1e9,
        gemm_gflops=timed.probe.gemm,
        copy_gibs=timed.probe.copy,
        floor_ms=1000 * floor,
        floor=1 + floor / plain.median,
        over_floor=(_over(ours, plain) - 1) * plain.median / floor,
        blocks=asdict(functools.reduce(Where.plus, inside.values())) if shown else None,
        rest=asdict(profiled[""]) if shown else None,
        by_block={name: asdict(share) for name, share in inside.items()} if shown else None,
        rounds=len(ours.seconds),
        rejected=timed.rejected,
        goal=_time_goal(case.limits, setting.mode, kind),
        memory_goal=case.limits.memory if kind == "training step" else None,
    )


def _time_goal(limits: Limits, mode: Mode, kind: Kind) -> float | None:
    if mode == "fused":
        return limits.fused
    return limits.inference if kind == "inference" else limits.training


def _over(one: Samples, other: Samples) -> float:
    """The median over the turns of one / other."""
    return other.times_faster_than(one)


def _order(layout: Layout, axes: int) -> torch.memory_format:
    """The order of the axes in memory, for inputs with this number of axes."""
    last = torch.channels_last if axes == 4 else torch.channels_last_3d
    return torch.contiguous_format if layout == "contiguous" else last


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def settings(
    batch: Sequence[int], layout: Sequence[Layout], mode: Sequence[Mode], threads: Sequence[int]
) -> list[Setting]:
    """Every combination, the threads changing last."""
    return [Setting(b, la, m, t) for b in batch for la in layout for m in mode for t in threads]
