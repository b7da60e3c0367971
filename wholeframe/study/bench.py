"""Our blocks against the peers that are installed, and against definitions where a peer has no package.

Every case first checks that both sides compute the same numbers (ours is converted from the peer's own weights), then
lets them take turns: forward, and forward + backward to the input and all weights.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from wholeframe import convert, ops
from wholeframe.blocks import CGNL, NonLocal
from wholeframe.study import definitions
from wholeframe.study.race import Race, peak_bytes, race

Forward = Callable[[Tensor], Tensor]

PEERS = {  # where a reference of `convert` is imported from
    "mmcv.NonLocal2d": "mmcv.cnn",
    "mmcv.NonLocal3d": "mmcv.cnn",
    "mmcv.ContextBlock": "mmcv.cnn",
    "timm.NonLocalAttn": "timm.layers",
    "timm.SEModule": "timm.layers",
    "timm.GlobalContext": "timm.layers",
    "pytorchvideo.create_nonlocal": "pytorchvideo.layers.nonlocal_net",
}


@dataclass(frozen=True)
class Goal:
    """How many times faster, and how many times less memory; None where nothing was promised."""

    forward: float | None = None
    both: float | None = None
    memory: float | None = None


@dataclass(frozen=True)
class Case:
    """One block at one size, against one rival."""

    block: str
    shape: tuple[int, ...]
    rival: str
    build: Callable[[], tuple[Forward, Forward]]
    """our block, and the rival with the same weights; ImportError where the peer is not installed"""
    goal: Goal = field(default_factory=Goal)
    quick: bool = False


@dataclass(frozen=True)
class Outcome:
    """A line of `results.jsonl`. Ratios are rival / ours: above 1, ours is faster or smaller."""

    block: str
    shape: tuple[int, ...]
    mode: str
    rival: str
    ratio: float
    memory_ratio: float
    ours_ms: float
    ours_spread: float
    rival_ms: float
    rival_spread: float
    ours_mib: float
    rival_mib: float
    difference: float
    gemm_gflops: float
    copy_gibs: float
    rounds: int
    rejected: int
    goal: float | None
    memory_goal: float | None


def against(reference: str, **constructor: object) -> Callable[[], tuple[nn.Module, Forward]]:
    """Builds a peer with random weights, and ours with the same."""

    def build() -> tuple[nn.Module, Forward]:
        peer = getattr(importlib.import_module(PEERS[reference]), reference.split(".")[-1])(**constructor)
        _enliven(peer)
        return convert.block(reference, constructor, peer.state_dict()), peer

    return build


def against_definition(
    make: Callable[[], nn.Module], definition: Callable[..., Tensor]
) -> Callable[[], tuple[nn.Module, Forward]]:
    """Builds a block of ours, and a definition on its weights."""

    def build() -> tuple[nn.Module, Forward]:
        block = make()
        _enliven(block)
        return block, partial(definition, block)

    return build


def against_dense(
    ours: Callable[..., Tensor], dense: Callable[..., Tensor], *weights: Tensor
) -> Callable[[], tuple[Forward, Forward]]:
    """Builds an op and its dense definition."""
    return lambda: (lambda x: ours(x, *weights), lambda x: dense(x, *weights))


def _enliven(module: nn.Module) -> None:
    """Weights that keep every branch alive: a block that starts as an identity would be compared with nothing."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        parameter.data = scale * torch.randn(parameter.shape, generator=generator)


def _image(batch: int, channels: int, side: int) -> tuple[int, ...]:
    return (batch, channels, side, side)


def _non_local(mode: str, channels: int, **constructor: object) -> Callable[[], tuple[nn.Module, Forward]]:
    return against("mmcv.NonLocal2d", in_channels=channels, mode=mode, **constructor)


CASES: tuple[Case, ...] = (
    Case("nl", _image(4, 512, 28), "mmcv", _non_local("embedded_gaussian", 512), Goal(1.3, 1.1, 1.6), quick=True),
    Case("nl", _image(1, 512, 56), "mmcv", _non_local("embedded_gaussian", 512), Goal(1.45, 1.25, 4)),
    Case("nl", _image(1, 256, 56), "mmcv", _non_local("embedded_gaussian", 256), Goal(1.9, 1.4, 7), quick=True),
    Case(
        "nl, keys pooled",
        (1, 512, 32, 28, 28),
        "mmcv",
        against("mmcv.NonLocal3d", in_channels=512, sub_sample=True),
        Goal(3.5, None, 10),
    ),
    Case("nl_gaussian", _image(4, 512, 28), "mmcv", _non_local("gaussian", 512), Goal(1.0), quick=True),
    Case("nl_gaussian", _image(1, 512, 56), "mmcv", _non_local("gaussian", 512), Goal(2.2)),
    Case("nl_dot", _image(4, 512, 28), "mmcv", _non_local("dot_product", 512), Goal(1.5, 1.5), quick=True),
    Case("nl_dot", _image(1, 512, 56), "mmcv", _non_local("dot_product", 512), Goal(4.5, 5, 4), quick=True),
    Case(
        "nl_dot",
        (1, 512, 16, 28, 28),
        "mmcv",
        against("mmcv.NonLocal3d", in_channels=512, mode="dot_product"),
        Goal(14, 30, 20),
    ),
    Case(
        "nl_concatenation",
        _image(4, 512, 14),
        "definition",
        against_definition(partial(NonLocal, 512, kind="concatenation", norm=None), definitions.pairs_concatenated),
        Goal(80, 50, 70),
        quick=True,
    ),
    Case(
        "nl_concatenation",
        _image(1, 512, 28),
        "definition",
        against_definition(partial(NonLocal, 512, kind="concatenation", norm=None), definitions.pairs_concatenated),
        Goal(400, 250, 350),
        quick=True,
    ),
    Case(
        "gc",
        _image(8, 512, 28),
        "mmcv",
        against("mmcv.ContextBlock", in_channels=512, ratio=1 / 16),
        Goal(2.3, 2.5, 2),
        quick=True,
    ),
    Case(
        "gc",
        _image(8, 1024, 14),
        "mmcv",
        against("mmcv.ContextBlock", in_channels=1024, ratio=1 / 16),
        Goal(2.3, 2.5, 2),
        quick=True,
    ),
    Case("se", _image(8, 512, 28), "timm", against("timm.SEModule", channels=512), Goal(1.2, 1.4, 1.5), quick=True),
    Case(
        "cgnl",
        _image(4, 512, 28),
        "definition",
        against_definition(partial(CGNL, 512, groups=8), definitions.cgnl_in_a_loop),
        Goal(1.5, 1.15, 1.1),
        quick=True,
    ),
    Case(
        "covariance",
        (8, 128, 784),
        "definition",
        against_dense(ops.covariance, definitions.covariance_by_matrix),
        Goal(7, 5, 6),
        quick=True,
    ),
    Case(
        "covariance",
        (2, 128, 3136),
        "definition",
        against_dense(ops.covariance, definitions.covariance_by_matrix),
        Goal(80, 40, 30),
        quick=True,
    ),
    Case(
        "row conv",
        (8, 128, 128),
        "definition",
        against_dense(ops.row_conv, definitions.row_conv_by_groups, torch.ones(512, 1, 128), torch.ones(512)),
        Goal(6, 6),
        quick=True,
    ),
    Case(
        "iSQRT, 5 steps",
        (8, 256, 256),
        "definition",
        lambda: (partial(ops.newton_schulz, steps=5), partial(definitions.newton_schulz_as_released, steps=5)),
        Goal(1.2, 1.4),
        quick=True,
    ),
)


def run_case(case: Case, *, rounds: int, budget: float, device: torch.device) -> Iterator[Outcome]:
    """Forward, then forward + backward."""
    block, rival = case.build()
    modules = [side.to(device).eval() for side in (block, rival) if isinstance(side, nn.Module)]
    weights = [parameter for module in modules for parameter in module.parameters()]
    x = torch.randn(case.shape, device=device)
    if case.block.startswith("iSQRT"):
        x = ops.covariance(x)  # a root is only taken of such a matrix
    difference = _difference(block, rival, x)

    def forward(run: Forward) -> Callable[[], object]:
        return torch.no_grad()(lambda: run(x))

    def forget() -> None:
        for tensor in (x, *weights):
            tensor.grad = None

    def both(run: Forward) -> Callable[[], object]:
        def step() -> None:
            forget()
            run(x.requires_grad_()).sum().backward()

        return step

    for mode, wrap, goal in (("forward", forward, case.goal.forward), ("both", both, case.goal.both)):
        runs = {"ours": wrap(block), case.rival: wrap(rival)}
        raced = race(runs, device, rounds, budget)
        memory = {}
        for name, run in runs.items():
            forget()  # gradients of the run before, freed during this one, would be held against nobody
            memory[name] = peak_bytes(run, device)
        yield _outcome(case, mode, goal, raced, memory, difference)
    x.requires_grad_(False)


@torch.no_grad()
def _difference(block: Forward, rival: Forward, x: Tensor) -> float:
    """The largest difference, relative to the largest value of what a block adds to its input, or an op gives."""
    theirs = rival(x)
    change = theirs - x if theirs.shape == x.shape else theirs
    return float((block(x) - theirs).abs().max() / change.abs().max())


def _outcome(
    case: Case, mode: str, goal: float | None, raced: Race, memory: dict[str, int], difference: float
) -> Outcome:
    ours, rival = raced.laps["ours"], raced.laps[case.rival]
    return Outcome(
        block=case.block,
        shape=case.shape,
        mode=mode,
        rival=case.rival,
        ratio=ours.times_faster_than(rival),
        memory_ratio=memory[case.rival] / max(memory["ours"], 1),
        ours_ms=1000 * ours.median,
        ours_spread=ours.spread,
        rival_ms=1000 * rival.median,
        rival_spread=rival.spread,
        ours_mib=memory["ours"] / 2**20,
        rival_mib=memory[case.rival] / 2**20,
        difference=difference,
        gemm_gflops=raced.probe.gemm,
        copy_gibs=raced.probe.copy,
        rounds=len(ours.seconds),
        rejected=raced.rejected,
        goal=goal,
        memory_goal=case.goal.memory,
    )
