"""All repositories whose whole networks are converted."""

from wholeframe.convert.networks import (
    caffe,
    caffe2,
    cgnl,
    found_blocks,
    gsop,
    mmaction,
    mmaction2,
    mmdetection,
    mmpretrain,
    mmsegmentation,
    mpncov,
    pytorchcv,
    pytorchvideo,
    senet,
    slowfast,
    timm,
    torchvision,
    tushar,
)
from wholeframe.convert.whole import WholeSource

WHOLE: dict[str, WholeSource] = {
    # networks for clips
    "video-nonlocal-net": caffe2.SOURCE,
    "slowfast": slowfast.SOURCE,
    "slowfast.caffe2": caffe2.SOURCE_SLOWFAST,
    "pytorchvideo": pytorchvideo.SOURCE,
    "pytorch-resnet3d": tushar.SOURCE,
    "mmaction2": mmaction2.SOURCE,
    "mmaction": mmaction.SOURCE,
    # networks for images, detection and segmentation
    "mmdetection": mmdetection.SOURCE,
    "mmsegmentation": mmsegmentation.SOURCE,
    "mmpretrain": mmpretrain.SOURCE,
    "cgnl": cgnl.SOURCE,
    "gsop": gsop.SOURCE,
    "mpncov": mpncov.SOURCE,
    "pytorchcv": pytorchcv.SOURCE,
    "alexhex7": found_blocks.ALEXHEX7,
    "tea1528": found_blocks.TEA1528,
    "timm": timm.SOURCE,
    "torchvision": torchvision.SOURCE,
    "senet": senet.SOURCE,
    "caffe": caffe.SOURCE,
}
