"""Augmentation of images with their boxes, masks and keypoints, by torchvision's transforms.

train = augment(names_of_keypoints, jitter=(0.8, 1.25), crop=True)
image, target = train(image, target)
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from wholeframe.data.detection.dataset import Target, Transform

OBJECTS = ("boxes", "labels", "masks", "keypoints", "visibility")
"""the entries of a target that have a row per object"""


def augment(
    keypoints: Sequence[str] = (),
    *,
    flip: bool = True,
    jitter: tuple[float, float] | None = None,
    crop: bool = False,
    colours: bool = False,
) -> Transform:
    """A random transform of an image and its target.

    Args:
        keypoints: names of the keypoints; a flip exchanges "left" and "right" in them.
        flip: mirror half of the images.
        jitter: smallest and largest factor on the size of an image; None leaves it.
        crop: cut out a part that overlaps with objects (Liu et al., SSD, ECCV 2016).
        colours: distort brightness, contrast, saturation and hue (the same paper).

    Returns:
        A function of an image and a target. Its image is float32 in [0, 1]; objects that it has cut away are left out.
    """
    exchanged = torch.tensor(mirrored(keypoints), dtype=torch.int64)

    def transform(image: Tensor, target: Target) -> tuple[Tensor, Target]:
        if colours:
            image = v2.RandomPhotometricDistort()(image)
        if jitter is not None:
            factor = float(torch.empty(()).uniform_(*jitter))
            height, width = (max(1, round(factor * side)) for side in image.shape[-2:])
            image, target = v2.Resize((height, width), antialias=True)(image, target)
        if crop and len(target["boxes"]):
            image, target = _cropped(image, target)
        if flip and torch.rand(()) < 0.5:
            image, target = v2.RandomHorizontalFlip(1.0)(image, target)
            if "keypoints" in target:
                target["keypoints"] = target["keypoints"][:, exchanged]
                target["visibility"] = target["visibility"][:, exchanged]
        return prepared(image, target)

    return transform


def prepared(image: Tensor, target: Target) -> tuple[Tensor, Target]:
    """The image as float32 in [0, 1], and the target as torchvision's detectors take it.

    Boxes are cut at the edge of the image. An object without area there is left out with every row that it has, and a
    keypoint outside is not labelled: its coordinates and its visibility are 0, as in COCO.
    """
    height, width = image.shape[-2:]
    target = {k: v.as_subclass(Tensor) if isinstance(v, Tensor) else v for k, v in target.items()}
    boxes = target["boxes"].clone()
    boxes[:, 0::2] = boxes[:, 0::2].clamp(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clamp(0, height)
    kept = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)
    target["boxes"] = boxes
    if "masks" in target:
        kept &= (target["masks"].flatten(1) > 0).any(dim=1)
    for name in OBJECTS:
        if name in target:
            target[name] = target[name][kept]
    if "keypoints" in target:
        points, visible = target["keypoints"], target.pop("visibility")
        x, y = points.unbind(dim=2)
        visible = visible * ((x >= 0) & (x < width) & (y >= 0) & (y < height))
        target["keypoints"] = torch.cat([points * (visible > 0)[..., None], visible[..., None].to(points)], dim=2)
    return F.to_dtype(image, torch.float32, scale=True).as_subclass(Tensor), target


def mirrored(keypoints: Sequence[str]) -> list[int]:
    """The index that every keypoint has after a flip: `left_eye` and `right_eye` exchange places."""
    places = {name: index for index, name in enumerate(keypoints)}
    swapped = (name.replace("left", "?").replace("right", "left").replace("?", "right") for name in keypoints)
    return [places.get(name, index) for index, name in enumerate(swapped)]


def _cropped(image: Tensor, target: Target) -> tuple[Tensor, Target]:
    """Cut out a part in which the centre of at least one object is."""
    height, width = image.shape[-2:]
    for _ in range(40):
        h, w = (max(1, int(side * float(torch.empty(()).uniform_(0.3, 1)))) for side in (height, width))
        if not 0.5 <= h / w <= 2:
            continue
        top, left = int(torch.randint(height - h + 1, ())), int(torch.randint(width - w + 1, ()))
        centres = (target["boxes"][:, :2] + target["boxes"][:, 2:]) / 2
        low, high = torch.tensor([left, top]), torch.tensor([left + w, top + h])
        if ((centres >= low) & (centres < high)).all(dim=1).any():
            cut = {
                name: F.crop(value, top, left, h, w) if isinstance(value, tv_tensors.TVTensor) else value
                for name, value in target.items()
            }
            return F.crop(image, top, left, h, w), cut
    return image, target
