"""Experiments by name: one file per data set, one function per experiment."""

from collections.abc import Callable

from wholeframe.recipes import charades, clips, coco, cub, detect, digits, folder, imagenet, kinetics
from wholeframe.train.recipe import Recipe

RECIPES: dict[str, Callable[[], Recipe]] = {
    "digits": digits.small_nl,
    "small_nl": folder.small_nl,
    "r18_gc": folder.r18_gc,
    "r50_nl": folder.r50_nl,
    "clips": clips.small,
    "imagenet": imagenet.r50_gc,
    "imagenet_cgnl": imagenet.r50_cgnl1,
    "imagenet_gsop1": imagenet.gsop1_r50,
    "imagenet_gsop2": imagenet.gsop2_r50,
    "imagenet_isqrt": imagenet.isqrt_r50,
    "cub": cub.r50_cgnl1,
    "cub_nl": cub.r50_nl1,
    "cub_r50": cub.r50,
    "kinetics": kinetics.i3d_r50_nl5,
    "kinetics_8x8": kinetics.i3d_r50_nl5_8x8,
    "kinetics_128": kinetics.i3d_r50_nl5_128x1,
    "charades": charades.i3d_r101_nl5,
    "detect": detect.fasterrcnn_r50_gc,
    "coco_maskrcnn_r50_gc": coco.maskrcnn_r50_gc,
    "coco_maskrcnn_r50_gc_2x": coco.maskrcnn_r50_gc_2x,
    "coco_maskrcnn_r50_nl1": coco.maskrcnn_r50_nl1,
    "coco_maskrcnn_r50_nl1_2x": coco.maskrcnn_r50_nl1_2x,
    "coco_keypointrcnn_r101_nl5": coco.keypointrcnn_r101_nl5,
    "coco_maskrcnn_tiny_gc": coco.maskrcnn_tiny_gc,
    "coco_keypointrcnn_tiny": coco.keypointrcnn_tiny,
}
