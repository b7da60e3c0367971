"""All repositories whose whole networks are converted."""

from wholeframe.convert.networks import (
    caffe2,
    cgnl,
    found_blocks,
    gsop,
    mmaction,
    mmaction2,
    mpncov,
    pytorchcv,
    pytorchvideo,
    slowfast,
    tushar,
)
from wholeframe.convert.whole import WholeSource

WHOLE: dict[str, WholeSource] = {
    "video-nonlocal-net": caffe2.SOURCE,
    "slowfast": slowfast.SOURCE,
    "cgnl": cgnl.SOURCE,
    "gsop": gsop.SOURCE,
    "mpncov": mpncov.SOURCE,
    "pytorchcv": pytorchcv.SOURCE,
    "alexhex7": found_blocks.ALEXHEX7,
    "tea1528": found_blocks.TEA1528,
    "slowfast.caffe2": caffe2.SOURCE_SLOWFAST,
    "pytorchvideo": pytorchvideo.SOURCE,
    "pytorch-resnet3d": tushar.SOURCE,
    "mmaction2": mmaction2.SOURCE,
    "mmaction": mmaction.SOURCE,
}
