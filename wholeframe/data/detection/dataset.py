"""Images and targets as torchvision's detectors take them."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors

from wholeframe.data.detection.annotations import Annotations, Instance, Picture
from wholeframe.data.detection.masks import mask_of
from wholeframe.data.images import read_image

Target = dict[str, Any]
Transform = Callable[[Tensor, Target], tuple[Tensor, Target]]


class DetectionDataset(Dataset):
    """Pairs of an image and its target.

    The image is `(3, h, w)` uint8. The target has, for n objects, `boxes` `(n, 4)` x1, y1, x2, y2 in pixels, `labels`
    `(n,)` from 1, `masks` `(n, h, w)` if the annotations have masks, `keypoints` `(n, k, 2)` with `visibility`
    `(n, k)` if they have keypoints, and `image_id`. Crowds are left out, because a detector cannot learn from them.

    Args:
        annotations: the images with their objects.
        transform: of image and target, such as `augment(...)`.
        empty: "keep" images without objects, which teach what is background, or "drop" them.

    Raises:
        ValueError: no image is left.
    """

    def __init__(
        self, annotations: Annotations, transform: Transform | None = None, *, empty: Literal["keep", "drop"] = "keep"
    ):
        self.annotations, self.transform = annotations, transform
        self.masks, self.joints = annotations.masks, len(annotations.keypoints)
        self.pictures = [p for p in annotations.pictures if empty == "keep" or self._objects(p)]
        if not any(self._objects(picture) for picture in self.pictures):
            needed = " with a keypoint that is labelled" if self.joints else ""
            raise ValueError(f"no image of '{annotations.source}' has an object{needed} to train on")

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        picture = self.pictures[index]
        image = torch.from_numpy(np.array(read_image(picture.file))).permute(2, 0, 1)
        if image.shape[1:] != (picture.height, picture.width):
            raise ValueError(
                f"'{picture.file}' is of {image.shape[2]} x {image.shape[1]} pixels, and its annotations are for "
                f"{picture.width} x {picture.height}; put back the image that was annotated"
            )
        image, target = tv_tensors.Image(image), self._target(picture)
        return self.transform(image, target) if self.transform else (image, target)

    def _objects(self, picture: Picture) -> list[Instance]:
        """The objects to learn: for keypoints only those that have some."""
        found = [instance for instance in picture.instances if not instance.crowd]
        if self.joints:
            found = [i for i in found if i.keypoints and any(visible for *_, visible in i.keypoints)]
        return found

    def _target(self, picture: Picture) -> Target:
        objects, size = self._objects(picture), (picture.height, picture.width)
        boxes = torch.tensor([o.box for o in objects], dtype=torch.float32).reshape(-1, 4)
        target: Target = {
            "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=size),  # type: ignore[call-arg]
            "labels": torch.tensor([o.label for o in objects], dtype=torch.int64),
            "image_id": picture.id,
        }
        if self.masks:
            masks = [torch.from_numpy(mask_of(o, *size)) for o in objects]
            target["masks"] = tv_tensors.Mask(torch.stack(masks) if masks else torch.zeros(0, *size, dtype=torch.uint8))
        if self.joints:
            points = torch.tensor([o.keypoints for o in objects], dtype=torch.float32).reshape(-1, self.joints, 3)
            target["keypoints"] = tv_tensors.KeyPoints(points[..., :2], canvas_size=size)  # type: ignore[call-arg]
            target["visibility"] = points[..., 2].long()
        return target
