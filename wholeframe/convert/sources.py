"""All repositories whose whole networks are converted."""

from wholeframe.convert.networks import (
    caffe,
    mmdetection,
    mmpretrain,
    mmsegmentation,
    senet,
    slowfast,
    timm,
    torchvision,
)
from wholeframe.convert.whole import WholeSource

WHOLE: dict[str, WholeSource] = {
    "slowfast": slowfast.SOURCE,
    "mmdetection": mmdetection.SOURCE,
    "mmsegmentation": mmsegmentation.SOURCE,
    "mmpretrain": mmpretrain.SOURCE,
    "timm": timm.SOURCE,
    "torchvision": torchvision.SOURCE,
    "senet": senet.SOURCE,
    "caffe": caffe.SOURCE,
}
