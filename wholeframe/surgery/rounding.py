"""Whether two results differ by rounding that the weights of a network amplify, or by a fault."""

import math

ALIKE = 10
"""A copy whose error in float64 is within this factor of the network's own error differs from it by rounding."""


def amplified(own: float, other: float, dtypes: str, name: str, remedy: str) -> str | None:
    """The sentence for a network that is about as far from its result in float64 as what is compared with it.

    Args:
        own: the error of the network, relative to its result in float64.
        other: the error of what is compared with it.
        dtypes: those of the network, in words.
        name: what is compared, in words.
        remedy: what to do with the network in float64.

    Returns:
        None where the network itself is nearer to that result.
    """
    if not other <= ALIKE * own < math.inf:
        return None
    return (
        f"the weights of the network amplify the rounding of {dtypes}, in which the network itself is {own:.2g} from "
        f"its result in float64, and {name} {other:.2g}; load trained weights, or {remedy} `network.double()` with an "
        "example in float64"
    )
