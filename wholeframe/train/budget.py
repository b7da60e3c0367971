"""The budget of a search: a time, a number of training steps, or a share of the steps of all trainings."""

import math
import re
from dataclasses import dataclass
from typing import Literal

SECONDS = {"h": 3600, "m": 60, "s": 1}
FORMS = "such as 2h, 90m, 45s, 5000steps, or 25% of the steps of all trainings"


@dataclass(frozen=True)
class Budget:
    """What a search may spend.

    Args:
        amount: above 0.
        unit: of the amount; a share is that of the steps of all trainings, at most 1.
    """

    amount: float
    unit: Literal["seconds", "steps", "share"]

    def steps(self, of_all: int) -> float:
        """The budget in training steps; infinite for a time.

        Args:
            of_all: the steps of all trainings.
        """
        return {"seconds": math.inf, "steps": self.amount, "share": self.amount * of_all}[self.unit]


def budget_of(text: str) -> Budget:
    """The budget that a text such as `2h`, `1h30m`, `5000steps` or `25%` gives.

    Raises:
        ValueError: for another form, an amount of 0, and more than 100 %.
    """
    if re.fullmatch(r"(\d+(\.\d+)?[hms])+", text):
        parts = re.findall(r"([\d.]+)([hms])", text)
        found = Budget(sum(float(amount) * SECONDS[unit] for amount, unit in parts), "seconds")
    elif match := re.fullmatch(r"(\d+)steps", text):
        found = Budget(float(match[1]), "steps")
    elif match := re.fullmatch(r"(\d+(?:\.\d+)?)%", text):
        found = Budget(float(match[1]) / 100, "share")
    else:
        raise ValueError(f"budget {text!r} has no unit that is known here; give a budget {FORMS}")
    if found.amount == 0:
        raise ValueError(f"a budget of {text} trains nothing; give a budget {FORMS}")
    if found.unit == "share" and found.amount > 1:
        raise ValueError(f"a budget of {text} is more than all trainings cost; give 100% or less")
    return found
