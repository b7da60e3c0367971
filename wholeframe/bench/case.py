"""Compares our blocks with the installed peers, and with our own definitions where a peer has no package.

Every case first measures how far the two outputs differ; our block is converted from the peer's own weights. It then
times both in turns: the forward pass, and forward and backward to the input and all weights.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from wholeframe import convert, ops
from wholeframe.bench.timing import Timing, time_in_turns
from wholeframe.models.measure import peak_bytes

Forward = Callable[[Tensor], Tensor]

PEERS = {  # The module from which each reference of `convert` is imported.
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
    """The ratios reference / ours to reach; None where there is no goal.

    A case without a reference has upper limits instead.

    Args:
        forward: ratio of the times of a forward pass.
        both: ratio of the times of forward and backward.
        memory: ratio of the peak memory, for either pass.
        seconds: longest time of our forward pass.
        gib: largest peak memory of our forward pass.
    """

    forward: float | None = None
    both: float | None = None
    memory: float | None = None
    seconds: float | None = None
    gib: float | None = None


@dataclass(frozen=True)
class Case:
    """One block at one size, compared with one reference, or alone where no reference can run."""

    block: str
    shape: tuple[int, ...]
    reference: str | None
    build: Callable[[], tuple[Forward, Forward | None]]
    """returns our block and the reference with the same weights; raises ImportError where the peer is not installed"""
    goal: Goal = field(default_factory=Goal)
    quick: bool = False


@dataclass(frozen=True)
class Outcome:
    """A line of the results.

    Ratios are reference / ours: above 1, ours is faster or smaller. They are None without a reference.
    """

    block: str
    shape: tuple[int, ...]
    mode: str
    backend: str
    reference: str | None
    ratio: float | None
    memory_ratio: float | None
    ours_ms: float
    ours_spread: float
    reference_ms: float | None
    reference_spread: float | None
    ours_mib: float
    reference_mib: float | None
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
        """Whether each goal for time or memory is reached."""
        pairs = [(self.ratio, self.goal), (self.memory_ratio, self.memory_goal)]
        pairs += [(self.seconds_goal, self.ours_ms / 1000), (self.gib_goal, self.ours_mib / 1024)]
        return [have >= need for have, need in pairs if have is not None and need is not None]


def against(reference: str, **constructor: object) -> Callable[[], tuple[nn.Module, Forward]]:
    """Builds a peer with random weights, and our block with the same weights."""

    def build() -> tuple[nn.Module, Forward]:
        peer = getattr(importlib.import_module(PEERS[reference]), reference.split(".")[-1])(**constructor)
        enliven(peer)
        return convert.block(reference, constructor, peer.state_dict()), peer

    return build


def against_definition(
    make: Callable[[], nn.Module], definition: Callable[..., Tensor]
) -> Callable[[], tuple[nn.Module, Forward]]:
    """Builds our block, and a definition that uses its weights."""

    def build() -> tuple[nn.Module, Forward]:
        block = make()
        enliven(block)
        return block, partial(definition, block)

    return build


def against_dense(
    ours: Callable[..., Tensor], dense: Callable[..., Tensor], *weights: Tensor
) -> Callable[[], tuple[Forward, Forward]]:
    """Builds an op and its dense definition."""
    return lambda: (lambda x: ours(x, *weights), lambda x: dense(x, *weights))


def alone(make: Callable[[], nn.Module]) -> Callable[[], tuple[nn.Module, None]]:
    """Builds our block without a reference."""

    def build() -> tuple[nn.Module, None]:
        block = make()
        enliven(block)
        return block, None

    return build


def against_backend(make: Callable[..., nn.Module], backend: str) -> Callable[[], tuple[nn.Module, nn.Module]]:
    """Builds our block with the automatic backend, and the same block with a named backend."""

    def build() -> tuple[nn.Module, nn.Module]:
        block, other = make(), make(backend=backend)
        enliven(block)
        other.load_state_dict(block.state_dict())
        return block, other

    return build


def enliven(module: nn.Module) -> None:
    """Randomise all weights, because a block that starts as an identity would be compared with nothing."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        parameter.data = scale * torch.randn(parameter.shape, generator=generator)


def run_case(case: Case, *, rounds: int, budget: float, device: torch.device) -> Iterator[Outcome]:
    """Measure a case: the forward pass first, then forward and backward.

    Args:
        case: the block, the size and the reference.
        rounds: number of turns at most.
        budget: seconds for each of the two measurements; three turns run in any case.
        device: the device of the measurement.
    """
    block, reference = case.build()
    modules = [side.to(device).eval() for side in (block, reference) if isinstance(side, nn.Module)]
    weights = [parameter for module in modules for parameter in module.parameters()]
    x = torch.randn(case.shape, device=device)
    if case.block.startswith("iSQRT"):
        x = ops.covariance(x)  # The square root needs a covariance matrix.
    difference = None if reference is None else _difference(block, reference, x)

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
        runs = {"ours": wrap(block)} | ({} if reference is None else {"reference": wrap(reference)})
        timed = time_in_turns(runs, device, rounds, budget)
        memory = {}
        for name, run in runs.items():
            forget()  # If this run freed the gradients of the previous one, its peak would be too low.
            memory[name] = peak_bytes(run, device) / 2**20
        yield _outcome(case, mode, str(getattr(block, "backend", "only")), timed, memory, difference)
    x.requires_grad_(False)


@torch.no_grad()
def _difference(block: Forward, reference: Forward, x: Tensor) -> float:
    """The largest difference, relative to the largest value that the block adds to its input or that the op returns."""
    theirs = reference(x)
    change = theirs - x if theirs.shape == x.shape else theirs
    return float((block(x) - theirs).abs().max() / change.abs().max())


def _outcome(
    case: Case, mode: str, backend: str, timed: Timing, memory: dict[str, float], difference: float | None
) -> Outcome:
    ours, reference, goal = timed.samples["ours"], timed.samples.get("reference"), case.goal
    return Outcome(
        block=case.block,
        shape=case.shape,
        mode=mode,
        backend=backend,
        reference=case.reference,
        ratio=None if reference is None else ours.times_faster_than(reference),
        memory_ratio=None if reference is None else memory["reference"] / max(memory["ours"], 2**-20),
        ours_ms=1000 * ours.median,
        ours_spread=ours.spread,
        reference_ms=None if reference is None else 1000 * reference.median,
        reference_spread=None if reference is None else reference.spread,
        ours_mib=memory["ours"],
        reference_mib=memory.get("reference"),
        difference=difference,
        gemm_gflops=timed.probe.gemm,
        copy_gibs=timed.probe.copy,
        rounds=len(ours.seconds),
        rejected=timed.rejected,
        goal={"forward": goal.forward, "both": goal.both}[mode],
        memory_goal=goal.memory,
        seconds_goal=goal.seconds if mode == "forward" else None,
        gib_goal=goal.gib if mode == "forward" else None,
    )
