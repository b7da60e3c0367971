"""A small data set in the format of COCO: dark images with bright rectangles, which have masks, and some keypoints."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from wholeframe.train.tasks.coco_evaluation import COCO_SIGMAS

JOINTS = list(COCO_SIGMAS)


def coco_folder(root: Path, *, train: int = 8, val: int = 4, classes=("cat", "dog"), keypoints: bool = False) -> Path:
    """Write the folder: every third image is upright, and every image has two objects."""
    draw = np.random.default_rng(0)
    kind = "person_keypoints" if keypoints else "instances"
    (root / "annotations").mkdir(parents=True)
    for split, count in (("train", train), ("val", val)):
        if count:
            (root / split).mkdir()
            content = _split(root / split, count, draw, ("person",) if keypoints else classes, keypoints)
            (root / "annotations" / f"{kind}_{split}.json").write_text(json.dumps(content))
    return root


def _split(folder, count, draw, classes, keypoints):
    images, annotations = [], []
    for number in range(1, count + 1):
        width, height = (48, 64) if number % 3 == 0 else (64, 48)
        pixels = draw.integers(0, 60, (height, width, 3), dtype=np.uint8)
        for label in range(2):
            x, y = 4 + 24 * label, int(draw.integers(2, height - 24))
            w, h = 16, 20
            pixels[y : y + h, x : x + w] = (220, 60, 60) if label % len(classes) else (60, 220, 60)
            points = [number for k in range(17) for number in (x + w * (k % 4) / 4 + 1, y + h * (k // 4) / 5 + 1, 2)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 10 * (label % len(classes) + 1),
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                    "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
                    **({"keypoints": points, "num_keypoints": 17} if keypoints else {}),
                }
            )
        Image.fromarray(pixels).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
    joints = {"keypoints": JOINTS, "skeleton": []} if keypoints else {}
    categories = [{"id": 10 * (k + 1), "name": name, **joints} for k, name in enumerate(classes)]
    return {"images": images, "annotations": annotations, "categories": categories}
