"""Our blocks against the installed peers, and against definitions for peers without a package.

Every case first checks that both sides compute the same numbers (ours is converted from the peer's own weights), then
runs them in turns: forward, and forward + backward to the input and all weights.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from wholeframe import convert, ops
from wholeframe.bench.timing import Race, race
from wholeframe.models.measure import peak_bytes

Forward = Callable[[Tensor], Tensor]

PEERS = {  # where a reference of `convert` is imported from
    "mmcv.NonLocal2d": "mmcv.cnn",
    "mmcv.NonLocal3d": "mmcv.cnn",
    "mmcv.ContextBlock": "mmcv.cnn",
    "timm.NonLocalAttn": "timm.layers",
    "timm.SEModule": "timm.layers",
    "timm.EffectiveSEModule": "timm.layers",
    "timm.EcaModule": "timm.layers",
    "timm.GlobalContext": "timm.layers",
    "pytorchvideo.create_nonlocal": "pytorchvideo.layers.nonlocal_net",
}


@dataclass(frozen=True)
class Goal:
    """Factors of time and memory that a rival takes more; None for no goal.

    A case without a rival has upper limits instead: `seconds` and `gib` of a forward pass.
    """

    forward: float | None = None
    both: float | None = None
    memory: float | None = None
    seconds: float | None = None
    gib: float | None = None


@dataclass(frozen=True)
class Case:
    """One block at one size, against one rival, or alone where no rival could run."""

    block: str
    shape: tuple[int, ...]
    rival: str | None
    build: Callable[[], tuple[Forward, Forward | None]]
    """our block, and the rival with the same weights; ImportError where the peer is not installed"""
    goal: Goal = field(default_factory=Goal)
    quick: bool = False


@dataclass(frozen=True)
class Outcome:
    """A line of the results. Ratios are rival / ours: above 1, ours is faster or smaller; None without a rival."""

    block: str
    shape: tuple[int, ...]
    mode: str
    backend: str
    rival: str | None
    ratio: float | None
    memory_ratio: float | None
    ours_ms: float
    ours_spread: float
    rival_ms: float | None
    rival_spread: float | None
    ours_mib: float
    rival_mib: float | None
    difference: float | None
    gemm_gflops: float
    copy_gibs: float
    rounds: int
    rejected: int
    goal: float | None
    memory_goal: float | None
    seconds_goal: float | None
    gib_goal: float | None

    @property
    def reached(self) -> list[bool]:
        """For every goal of time or memory, whether it was reached."""
        pairs = [(self.ratio, self.goal), (self.memory_ratio, self.memory_goal)]
        pairs += [(self.seconds_goal, self.ours_ms / 1000), (self.gib_goal, self.ours_mib / 1024)]
        return [have >= need for have, need in pairs if have is not None and need is not None]


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


def alone(make: Callable[[], nn.Module]) -> Callable[[], tuple[nn.Module, None]]:
    """Builds a block of ours, and no rival."""

    def build() -> tuple[nn.Module, None]:
        block = make()
        _enliven(block)
        return block, None

    return build


def against_backend(make: Callable[..., nn.Module], backend: str) -> Callable[[], tuple[nn.Module, nn.Module]]:
    """Builds a block of ours, and the same block with a named backend."""

    def build() -> tuple[nn.Module, nn.Module]:
        block, other = make(), make(backend=backend)
        _enliven(block)
        other.load_state_dict(block.state_dict())
        return block, other

    return build


def _enliven(module: nn.Module) -> None:
    """Weights that keep every branch alive: a block that starts as an identity would be compared with nothing."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        parameter.data = scale * torch.randn(parameter.shape, generator=generator)


def run_case(case: Case, *, rounds: int, budget: float, device: torch.device) -> Iterator[Outcome]:
    """Forward, then forward + backward."""
    block, rival = case.build()
    modules = [side.to(device).eval() for side in (block, rival) if isinstance(side, nn.Module)]
    weights = [parameter for module in modules for parameter in module.parameters()]
    x = torch.randn(case.shape, device=device)
    if case.block.startswith("iSQRT"):
        x = ops.covariance(x)  # a root is only taken of such a matrix
    difference = None if rival is None else _difference(block, rival, x)

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

    for mode, wrap in (("forward", forward), ("both", both)):
        runs = {"ours": wrap(block)} | ({} if rival is None else {"rival": wrap(rival)})
        raced = race(runs, device, rounds, budget)
        memory = {}
        for name, run in runs.items():
            forget()  # else gradients of the previous run, freed during this one, would lower the peak
            memory[name] = peak_bytes(run, device) / 2**20
        yield _outcome(case, mode, str(getattr(block, "backend", "only")), raced, memory, difference)
    x.requires_grad_(False)


@torch.no_grad()
def _difference(block: Forward, rival: Forward, x: Tensor) -> float:
    """The largest difference, relative to the largest value of what a block adds to its input, or an op gives."""
    theirs = rival(x)
    change = theirs - x if theirs.shape == x.shape else theirs
    return float((block(x) - theirs).abs().max() / change.abs().max())


def _outcome(
    case: Case, mode: str, backend: str, raced: Race, memory: dict[str, float], difference: float | None
) -> Outcome:
    ours, rival, goal = raced.laps["ours"], raced.laps.get("rival"), case.goal
    return Outcome(
        block=case.block,
        shape=case.shape,
        mode=mode,
        backend=backend,
        rival=case.rival,
        ratio=None if rival is None else ours.times_faster_than(rival),
        memory_ratio=None if rival is None else memory["rival"] / max(memory["ours"], 2**-20),
        ours_ms=1000 * ours.median,
        ours_spread=ours.spread,
        rival_ms=None if rival is None else 1000 * rival.median,
        rival_spread=None if rival is None else rival.spread,
        ours_mib=memory["ours"],
        rival_mib=memory.get("rival"),
        difference=difference,
        gemm_gflops=raced.probe.gemm,
        copy_gibs=raced.probe.copy,
        rounds=len(ours.seconds),
        rejected=raced.rejected,
        goal={"forward": goal.forward, "both": goal.both}[mode],
        memory_goal=goal.memory,
        seconds_goal=goal.seconds if mode == "forward" else None,
        gib_goal=goal.gib if mode == "forward" else None,
    )
