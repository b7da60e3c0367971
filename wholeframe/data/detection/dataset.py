"""Images and targets as torchvision's detectors take them."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from wholeframe.data.detection.annotations import Annotations, Instance, Picture
from wholeframe.data.detection.masks import mask_of
from wholeframe.data.images import read_image
from wholeframe.messages import one_of

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
        learn: "boxes", "masks" or "keypoints", each with the boxes; None for everything that the annotations have.

    Raises:
        ValueError: no image has an object to learn, or an option is not one of the names above.
    """

    def __init__(
        self,
        annotations: Annotations,
        transform: Transform | None = None,
        *,
        empty: Literal["keep", "drop"] = "keep",
        learn: Literal["boxes", "masks", "keypoints"] | None = None,
    ):
        one_of("empty", empty, ("keep", "drop"))
        one_of("learn", learn, ("boxes", "masks", "keypoints", None))
        self.annotations, self.transform = annotations, transform
        self.masks = annotations.masks and learn in ("masks", None)
        self.joints = len(annotations.keypoints) if learn in ("keypoints", None) else 0
        self.pictures = [p for p in annotations.pictures if empty == "keep" or self._objects(p)]
        if not any(self._objects(picture) for picture in self.pictures):
            needed = " with a keypoint that is labelled" if self.joints else ""
            raise ValueError(f"no image of '{annotations.source}' has an object{needed} to train on")

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        picture = self.pictures[index]
        image, target = tv_tensors.Image(pixels(picture)), self._target(picture)
        return self.transform(image, target) if self.transform else (image, target)

    @property
    def groups(self) -> list[int]:
        """1 for an image that is taller than wide, else 0; a batch of one of them has little padding."""
        return [int(picture.height > picture.width) for picture in self.pictures]

    def name(self, index: int) -> str:
        """The file and the id of an image."""
        return f"'{self.pictures[index].file.name}' (image {self.pictures[index].id})"

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


class DetectionImages(Dataset):
    """Pairs of an image, `(3, h, w)` float32 in [0, 1], and a target with its `image_id` alone, for an evaluation.

    Args:
        annotations: the images.
    """

    def __init__(self, annotations: Annotations):
        self.annotations = annotations

    def __len__(self) -> int:
        return len(self.annotations.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        picture = self.annotations.pictures[index]
        return F.to_dtype(pixels(picture), torch.float32, scale=True), {"image_id": picture.id}


def pixels(picture: Picture) -> Tensor:
    """An image, `(3, h, w)` uint8.

    Raises:
        ValueError: it does not decode, or has another size than its annotations are for.
    """
    image = torch.from_numpy(np.array(read_image(picture.file))).permute(2, 0, 1)
    if reason := other_size(picture, image.shape[2], image.shape[1]):
        raise ValueError(f"'{picture.file}' cannot be used: {reason}; put the image there that was annotated")
    return image


def other_size(picture: Picture, width: int, height: int) -> str | None:
    """Why an image of this size does not belong to its annotations; None if it does."""
    if (width, height) == (picture.width, picture.height):
        return None
    turned = (height, width) == (picture.width, picture.height)
    why = " (turned, as by an EXIF orientation that its annotations do not follow)" if turned else ""
    return f"it is of {width} x {height} pixels{why}, and its annotations are for {picture.width} x {picture.height}"
