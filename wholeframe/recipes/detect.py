"""Your own images with labelled boxes: COCO, YOLO or Pascal VOC."""

from wholeframe.models.detector_config import DetectorConfig
from wholeframe.train.inputs.objects import Objects
from wholeframe.train.recipe import Recipe, Schedule
from wholeframe.train.tasks.detection import Detection


def fasterrcnn_r50_gc() -> Recipe:
    """Faster R-CNN, ResNet-50, pretrained on COCO, with GC blocks before the residual sums of c3 to c5, fine-tuned.

    torchvision downloads the weights. The batch norms keep their statistics. The new blocks start as identities and
    learn at ten times the rate. With masks: --backbone maskrcnn_r50_gc --objects masks.

    wholeframe train detect --data DIR --out runs/detect
    """
    return Recipe(
        model=DetectorConfig(backbone="fasterrcnn_r50_gc", weights="COCO_V1", norm="frozen"),
        data=Objects(batch=4),
        schedule=Schedule(epochs=20, lr=1e-4, block_lr=10.0, weight_decay=0.05, clip=10.0),
        task=Detection("boxes"),
    )
