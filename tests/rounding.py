"""Bounds on rounding errors: from eps, the number of terms and the condition of a computation, not from one machine.

Two exact ways to compute a sum of `terms` numbers differ by at most about `terms` roundings of its largest partial
sum. Processors add in different orders (SSE, AVX2, AVX-512, one thread or several), and all of them stay below this
bound. Where a computation divides by a difference, as a norm does, a single rounding of its input moves its output by
many: `moved` and `moves` measure by how many, and the bound grows with them.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

SAFETY = 4  # a product, a sum, a division and a root round once each for every term
DRAWS = 3


def agree(actual: Tensor, expected: Tensor, terms: int, *, moved: float = 0.0, scale: float = 0.0, what: str = ""):
    """Assert that two sums of `terms` numbers agree to rounding.

        |actual - expected| <= 4 terms (eps max(|expected|, scale) + moved)

    Args:
        actual, expected: the two results, of one dtype.
        terms: how many numbers are summed into one number of the result.
        moved: how far one rounding of the inputs moves the result: see `moved` and `moves`.
        scale: the size of what cancels, where that is larger than what is left.
        what: begins the message.
    """
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype} for {expected.dtype}"
    largest = max(_largest(expected), scale)
    atol = bound(terms, largest, expected.dtype) + SAFETY * terms * moved
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol, msg=lambda text: f"{what} {text}".strip())


def bound(terms: int, scale: float, dtype: torch.dtype = torch.float64) -> float:
    """The largest difference between two exact sums of `terms` numbers whose partial sums stay below `scale`."""
    return SAFETY * terms * torch.finfo(dtype).eps * scale


def moved(function: Callable[..., Tensor], *inputs: Tensor) -> float:
    """How far the output moves when every number of the inputs moves by one relative eps (of three draws)."""
    exact, generator = function(*inputs).detach(), torch.Generator().manual_seed(1)
    others = [function(*(_nudged(x, generator) for x in inputs)) for _ in range(DRAWS)]
    return max(_largest(other.detach() - exact) for other in others)


def moves(outcome: Callable[[nn.Module, Tensor], dict[str, Tensor]], block: nn.Module, x: Tensor) -> dict[str, float]:
    """The same for each named result of `outcome(block, x)`, such as gradients, when the weights move as well."""
    exact, generator = outcome(block, x), torch.Generator().manual_seed(1)
    found = dict.fromkeys(exact, 0.0)
    for _ in range(DRAWS):
        other = copy.deepcopy(block)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.copy_(_nudged(parameter, generator))
        for name, tensor in outcome(other, _nudged(x, generator)).items():
            found[name] = max(found[name], _largest(tensor - exact[name]))
    return found


def _nudged(x: Tensor, generator: torch.Generator) -> Tensor:
    if not x.is_floating_point():
        return x
    signs = torch.randint(0, 2, x.shape, generator=generator).to(x.dtype) * 2 - 1
    return x.detach() * (1 + torch.finfo(x.dtype).eps * signs)


def _largest(x: Tensor) -> float:
    return float(x.detach().abs().max()) if x.numel() else 0.0
