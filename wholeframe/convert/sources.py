"""All repositories whose whole networks are converted."""

from wholeframe.convert.networks import (
    caffe,
    caffe2,
    mmaction,
    mmaction2,
    mmdetection,
    mmpretrain,
    mmsegmentation,
    pytorchvideo,
    senet,
    slowfast,
    timm,
    torchvision,
    tushar,
)
from wholeframe.convert.whole import WholeSource

WHOLE: dict[str, WholeSource] = {
    "video-nonlocal-net": caffe2.SOURCE,
    "slowfast": slowfast.SOURCE,
    "slowfast.caffe2": caffe2.SOURCE_SLOWFAST,
    "pytorchvideo": pytorchvideo.SOURCE,
    "pytorch-resnet3d": tushar.SOURCE,
    "mmaction2": mmaction2.SOURCE,
    "mmaction": mmaction.SOURCE,
    "mmdetection": mmdetection.SOURCE,
    "mmsegmentation": mmsegmentation.SOURCE,
    "mmpretrain": mmpretrain.SOURCE,
    "timm": timm.SOURCE,
    "torchvision": torchvision.SOURCE,
    "senet": senet.SOURCE,
    "caffe": caffe.SOURCE,
}
