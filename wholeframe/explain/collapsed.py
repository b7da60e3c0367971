"""What replacing a non-local block by a simplified one changed, as a value that can undo it."""

import math
from dataclasses import dataclass

from torch import nn

from wholeframe.blocks.context import SimplifiedNonLocal
from wholeframe.blocks.non_local import NonLocal
from wholeframe.explain.survey import Statistics
from wholeframe.messages import counted
from wholeframe.surgery.insert import moved
from wholeframe.surgery.placement import CHILD, grid_text


@dataclass(frozen=True)
class Collapsed:
    """What `collapse` measured, and the block that it took out of the network.

    Args:
        site: of the block.
        replaced: whether the simplified block is in the network now.
        branch: rms |s - y_i| / rms |y_i| over all positions of the check images.
        branch_99: the 99th percentile of |s - y_i| / rms |y_i|.
        within: the same as `branch` where every image had its own mean: what statistics within images can see.
        predictions: the share of changed predictions, 0 to 1; nan if there is none to compare.
        images: the number of check images.
        grid: of the block in the first of them.
        multiply_adds, parameters: what the simplified block saves for an image with this grid.
        tolerance: as given.
        statistics: of the non-local block on the check images.
        old, new: the two blocks.
        place: the module whose child the block is.
    """

    site: str
    replaced: bool
    branch: float
    branch_99: float
    within: float
    predictions: float
    images: int
    grid: tuple[int, ...]
    multiply_adds: int
    parameters: int
    tolerance: float
    statistics: Statistics
    old: NonLocal
    new: SimplifiedNonLocal
    place: nn.Module

    def put_back(self) -> None:
        """Put the non-local block back in its place, with its weights from before, as it was replaced.

        Raises:
            ValueError: if the simplified block is not there (any more).
        """
        if self.place.get_submodule(CHILD) is not self.new:
            raise ValueError(
                f"the simplified block is not at {self.site!r}, so there is nothing to put back; "
                "`wf.blocks_of(model)` lists what is there"
            )
        weight = next(self.new.parameters())
        self.place.add_module(CHILD, moved(self.old, weight.device, weight.dtype).train(self.new.training))

    def notes(self) -> list[str]:
        """What the measurement does not show by itself, in sentences."""
        between = self.branch**2 - self.within**2
        found = self.statistics.notes()
        if between > self.within**2 and self.branch > self.tolerance:
            found.append(
                f"{self.site}: within an image the outputs are {self.within:.1%} from their mean, and the rest of the "
                f"{self.branch:.1%} is a query that differs between images"
            )
        return found

    def __str__(self) -> str:
        unseen = math.isnan(self.predictions)
        predictions = "no prediction (none was made)" if unseen else f"{self.predictions:.2%} of predictions"
        measured = (
            f"{self.site}: replacing this block by its SNL changed the branch by {self.branch:.2%} (99th percentile "
            f"{self.branch_99:.2%}) and {predictions} on {counted(self.images, 'held-out image')}, {self._saving()}"
        )
        if self.replaced:
            verdict = (
                f"the SNL is in its place, within the tolerance of {self.tolerance:.1%}; no tolerance is known to be "
                "safe, so compare the score of your task before you keep it"
            )
        elif unseen and self.branch <= self.tolerance:
            verdict = "the non-local block stays, because no prediction shows what the change does"
        else:
            verdict = f"the non-local block stays, because this is more than the tolerance of {self.tolerance:.1%}"
        return "\n".join([measured, verdict, *self.notes()])

    def _saving(self) -> str:
        """`saving 433,920 multiply-adds on a grid of 8 x 8 and 71 parameters`."""
        work, weights = (
            f"{'saving' if count >= 0 else 'adding'} {abs(count):,}" for count in (self.multiply_adds, self.parameters)
        )
        return f"{work} multiply-adds on a grid of {grid_text(self.grid)} and {weights} parameters"
