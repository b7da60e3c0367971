"""Print the table of FLOP counters in docs/howto/tools.md: `uv run --extra tools python docs/counters.py`."""

import contextlib
import copy
import io
import warnings

import torch
from torch import nn

import wholeframe as wf

CHANNELS, GRID = 256, (28, 28)
BLOCKS = {"NonLocal": "nl", "GlobalContext": "gc", "CGNL": "cgnl", "GSoPChannel": "gsop_channel"}


def of_thop(block: nn.Module, x: torch.Tensor) -> float:
    import thop

    return thop.profile(block, (x,), verbose=False)[0]


def of_torchinfo(block: nn.Module, x: torch.Tensor) -> float:
    import torchinfo

    return torchinfo.summary(block, input_data=x, verbose=0).total_mult_adds


def of_ptflops(block: nn.Module, x: torch.Tensor) -> float:
    import ptflops

    options = dict(as_strings=False, print_per_layer_stat=False, backend="pytorch")
    return ptflops.get_model_complexity_info(block, tuple(x.shape[1:]), **options)[0]


def of_fvcore(block: nn.Module, x: torch.Tensor) -> float:
    from fvcore.nn import FlopCountAnalysis

    return FlopCountAnalysis(block, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


def of_torch(block: nn.Module, x: torch.Tensor) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        block(x)
    return counter.get_total_flops() / 2


def of_wholeframe(block: nn.Module, x: torch.Tensor) -> float:
    return wf.cost(block, x).macs


COUNTERS = {
    "thop": of_thop,
    "torchinfo": of_torchinfo,
    "ptflops": of_ptflops,
    "fvcore": of_fvcore,
    "`torch.utils.flop_counter`": of_torch,
    "`wf.cost`": of_wholeframe,
}


def fractions() -> dict[str, list[float]]:
    """For each counter, what it counts of the multiply-adds of each block's definition."""
    torch.manual_seed(0)
    x = torch.randn(1, CHANNELS, *GRID)
    blocks = [wf.BLOCKS[name].make(CHANNELS).eval() for name in BLOCKS.values()]
    found = {}
    for name, count in COUNTERS.items():
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            found[name] = [count(copy.deepcopy(block), x) / block.multiply_adds(GRID) for block in blocks]
    return found


def table() -> str:
    """A row for each counter, in per cent of the definition."""
    lines = ["| counter | " + " | ".join(BLOCKS) + " |", "| --- |" + " ---: |" * len(BLOCKS)]
    lines += [f"| {name} | " + " | ".join(f"{part:.0%}" for part in row) + " |" for name, row in fractions().items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
