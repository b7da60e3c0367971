"""Replace a trained non-local block by the simplified one with its mean query, and measure what that changes.

    theta = mean over the calibration images of the mean theta_i of an image
    y_i   = z_i - x_i of the non-local block,    s = z_i - x_i of the simplified block at theta, the same for all i

    branch = rms |s - y_i| / rms |y_i|,    |s - y_i|^2 = |y_i - mean y|^2 + |s - mean y|^2   on average over an image
                                                         within             between

Whether a block may be replaced follows from this measurement alone, on images that did not choose theta. The statistics
of `dependence` are within images, the first term: where the query is the same at all positions of an image and another
one in the next image, they are near zero, and the replacement destroys the block.
"""

import hashlib
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe.blocks.context import SimplifiedNonLocal
from wholeframe.blocks.non_local import NonLocal
from wholeframe.explain.changed import changed
from wholeframe.explain.collapsed import Collapsed
from wholeframe.explain.equal_snl import refuse_unequal, snl_at
from wholeframe.explain.survey import Tally
from wholeframe.messages import quoted
from wholeframe.ops import to_positions
from wholeframe.surgery.placement import CHILD
from wholeframe.surgery.probe import evaluating, refuse_compiled_elsewhere, refuse_model
from wholeframe.surgery.record import located

Batch = Tensor | Sequence[Tensor]
BATCH = 16
"""samples of a tensor that run at a time"""


def collapse(
    model: nn.Module,
    site: str,
    *,
    calibration: Tensor | Iterable[Batch],
    check: Tensor | Iterable[Batch],
    tolerance: float = 0.03,
    decide: Callable[[Any], Tensor] | None = None,
) -> Collapsed:
    """Turn a trained `NonLocal` into the `SimplifiedNonLocal` with its mean query, if that changes little.

        z_i = x_i + W_v sum_j softmax_j(w_k . x_j) x_j + b_v,    w_k = s W_phi^T theta,    W_v = S W_z W_g

    Both blocks run on the check images. The simplified one takes the place if neither the branch nor the predictions
    change by more than `tolerance`; else the model is as before. Its weights are new: those of the old block are
    neither shared nor changed, and an optimizer that holds them has to be built again. Restoring and saving work as
    with an inserted block.

    Source: Cao et al., GCNet, 2019, for the observation that trained queries often do not matter; the measurement is
    ours.

    Args:
        model: a network with inserted blocks, changed in place; it runs in eval mode.
        site: of a non-local block of kind `gaussian` or `embedded_gaussian` over all positions, without pooled keys.
        calibration: images that choose theta: a tensor `(b, ...)`, or batches as the model takes them: tensors, or
            lists of images for a detector.
        check: other images on which the replacement is measured. Equal images are found and refused; that crops or
            frames of the same scene are not among both is up to the caller.
        tolerance: the largest share of change of branch and of predictions, 0 to 1; `math.inf` replaces the block
            whatever it changes. No value is safe for every network: 0.03 is where small networks changed at most 0.6 %
            of their predictions.
        decide: makes a tensor of predictions of the model's output; None for classes, maps of classes and detections,
            see `wholeframe.explain.changed`.

    Returns:
        The measurement, whose text says what was changed and saved; `put_back()` restores the old block. What its
        figures do not show by themselves, such as diffuse attention, is also a warning.

    Raises:
        ValueError: for a block without an equal simplified block, images that are both in `calibration` and `check`,
            none in either, a block whose branch is zero, and outputs without predictions.
    """
    found = collapse_or_keep(model, site, calibration, check, tolerance, decide)
    for note in found.notes():
        warnings.warn(note, stacklevel=2)
    return found


def collapse_or_keep(
    model: nn.Module,
    site: str,
    calibration: Tensor | Iterable[Batch],
    check: Tensor | Iterable[Batch],
    tolerance: float,
    decide: Callable[[Any], Tensor] | None = None,
) -> Collapsed:
    """`collapse`, without the warnings: `Collapsed.notes` has their sentences."""
    refuse_model(model)
    refuse_compiled_elsewhere(model)
    if not tolerance >= 0:
        raise ValueError(f"tolerance={tolerance} is not a share of change: give 0 or more; 0.03 is a starting value")
    place = _place(model, site)
    old = place.get_submodule(CHILD)
    refuse_unequal(old, site)
    assert isinstance(old, NonLocal)
    with evaluating(model), torch.no_grad():
        known: set[bytes] = set()
        theta = _mean_query(model, old, _held(calibration, "calibration", known, set()))
        new = snl_at(old, theta)
        gaps = _Gaps(site, old, new)
        images = flipped = predictions = 0
        for batch in _held(check, "check", set(), known):
            before, seen = _watched(model, old, batch)
            for x in seen:
                gaps.add(x)
            place.add_module(CHILD, new)
            try:
                after = model(batch)
            finally:
                place.add_module(CHILD, old)
            one, all_of_them = changed(before, after, decide)
            images, flipped, predictions = images + len(batch), flipped + one, predictions + all_of_them
    found = gaps.result(tolerance, images, flipped / predictions if predictions else math.nan, place)
    if found.replaced:
        place.add_module(CHILD, new.train(old.training))
    return found


def _place(model: nn.Module, site: str) -> nn.Module:
    """The module whose child is the block at this site."""
    places = {placement.site: module for placement, module in located(model) if module is not None}
    if site not in places:
        there = f"there are blocks at {quoted(places)}" if places else "the model has no block"
        raise ValueError(f"there is no block at {site!r}; {there}")
    return places[site]


def _held(given: Tensor | Iterable[Batch], name: str, own: set[bytes], others: set[bytes]) -> Iterator[Batch]:
    """The batches; the digests of their images go into `own`, and one that is among `others` is refused."""
    if given is None or isinstance(given, str | dict):
        raise ValueError(f"{name}= is {given!r}; give a tensor of images, or batches as the model takes them")
    batches: Iterable[Any] = given.split(BATCH) if isinstance(given, Tensor) else given
    count = 0
    for batch in batches:
        detects = isinstance(batch, list) and all(isinstance(i, Tensor) and i.ndim == 3 for i in batch)
        if not (isinstance(batch, Tensor) and batch.ndim >= 3) and not detects:
            raise ValueError(
                f"a batch of {name}= is a {type(batch).__name__}, and not a tensor of images (b, c, h, w) or a list of "
                f"images for a detector; of a loader with labels give {name}=(images for images, _ in loader)"
            )
        for image in batch:
            digest = _digest(image)
            own.add(digest)
            count += 1
            if digest in others:
                raise ValueError(
                    f"image {count} of {name}= is also in calibration=, where it has chosen the query, so what it "
                    "shows says nothing about other images; give images that are in one of the two"
                )
        yield batch
    if not count:
        raise ValueError(f"{name}= has no image; give some that are not in the other set")


def _digest(image: Tensor) -> bytes:
    data = image.detach().cpu().double().contiguous()
    return hashlib.blake2b(str(tuple(data.shape)).encode() + data.numpy().tobytes(), digest_size=16).digest()


def _watched(model: nn.Module, block: nn.Module, batch: Batch) -> tuple[Any, list[Tensor]]:
    """The output of the model for a batch, and what the block saw: nothing where it did not run."""
    seen: list[Tensor] = []
    handle = block.register_forward_pre_hook(lambda _block, args: seen.append(args[0]))
    try:
        return model(batch), [x for x in seen if len(x)]
    finally:
        handle.remove()


def _mean_query(model: nn.Module, block: NonLocal, batches: Iterable[Batch]) -> Tensor:
    """The mean over images of the mean theta of an image, `(d,)` in float64."""
    means = [
        theta.double().mean(dim=0)
        for batch in batches
        for x in _watched(model, block, batch)[1]
        for theta in block.project(x)[0]
    ]
    if not means:
        raise ValueError("the block does not run for the images of calibration=, so it has no query there")
    return torch.stack(means).mean(dim=0)


class _Gaps:
    """|s - y_i|^2 of every position, and the sums that scale it."""

    def __init__(self, site: str, old: NonLocal, new: SimplifiedNonLocal):
        self.site, self.old, self.new = site, old, new
        self.gaps: list[Tensor] = []
        self.square = self.within = 0.0
        self.grid: tuple[int, ...] = ()
        self.tally = Tally(site, old, torch.Generator().manual_seed(0))

    def add(self, x: Tensor) -> None:
        """Compare both blocks on the input `(b, c, *grid)` of one batch."""
        y, s = (to_positions(block(x) - x).double() for block in (self.old, self.new))
        self.gaps.append((s - y).square().sum(dim=2).flatten().cpu())
        self.square += y.square().sum().item()
        self.within += (y - y.mean(dim=1, keepdim=True)).square().sum().item()
        self.grid = self.grid or tuple(x.shape[2:])
        self.tally.add(x)

    def result(self, tolerance: float, images: int, predictions: float, place: nn.Module) -> Collapsed:
        if not self.gaps:
            raise ValueError(f"the block at {self.site!r} does not run for the images of check=")
        gaps = torch.cat(self.gaps)
        if not (math.isfinite(self.square) and gaps.isfinite().all()):
            raise ValueError(f"the block at {self.site!r} gives numbers that are not finite on the images of check=")
        if self.square == 0:
            raise ValueError(
                f"the block at {self.site!r} adds nothing to its input on the images of check=, so there is nothing to "
                "replace; `wf.remove` takes it out and changes nothing"
            )
        branch = math.sqrt(gaps.sum().item() / self.square)
        allowed = branch <= tolerance and (predictions <= tolerance or tolerance == math.inf)
        scale = math.sqrt(self.square / len(gaps))
        old, new = self.old, self.new
        return Collapsed(
            site=self.site,
            replaced=allowed,
            branch=branch,
            branch_99=_percentile(gaps.sqrt(), 0.99) / scale,
            within=math.sqrt(self.within / self.square),
            predictions=predictions,
            images=images,
            grid=self.grid,
            multiply_adds=old.multiply_adds(self.grid) - new.multiply_adds(self.grid),
            parameters=sum(p.numel() for p in old.parameters()) - sum(p.numel() for p in new.parameters()),
            tolerance=tolerance,
            statistics=self.tally.result(),
            old=old,
            new=new,
            place=place,
        )


def _percentile(values: Tensor, share: float) -> float:
    """The smallest value that at least this share of the values does not exceed (torch's quantile has a size limit)."""
    return values.sort().values[max(math.ceil(share * len(values)), 1) - 1].item()
