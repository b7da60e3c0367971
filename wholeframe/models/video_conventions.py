"""The meanings of "C2D" and "I3D" in the references: two tables of arguments of `VideoResNet`.

A convention fixes the strides and pools, and an architecture fixes which kernels are temporal.
"""

from typing import Any, Literal, get_args

from wholeframe.messages import one_of

VideoConvention = Literal["paper", "caffe2_org", "caffe2", "slowfast", "mmaction2", "nopool"]
VIDEO_CONVENTIONS: dict[VideoConvention, dict[str, Any]] = {
    # Wang et al., CVPR 2018, table 1: 32 x 224 x 224 -> 8 x 56 x 56 -> 4 x 28 x 28.
    "paper": {
        "conv1_stride": (2, 2, 2),
        "pool1": (3, 3, 3),
        "pool1_stride": (2, 2, 2),
        "pool1_padding": (1, 1, 1),
        "pool2": 3,
    },
    # facebookresearch/video-nonlocal-net@c253ed5, `resnet_video_org`: the released 32- and 128-frame networks.
    "caffe2_org": {
        "conv1_stride": (2, 2, 2),
        "pool1": (2, 3, 3),
        "pool1_stride": (2, 2, 2),
        "pool1_padding": (0, 0, 0),
        "pool2": 2,
    },
    # `resnet_video` of the same repository: the released 8 x 8 and 32 x 4 networks (frames x stride).
    "caffe2": {
        "conv1_stride": (1, 2, 2),
        "pool1": (1, 3, 3),
        "pool1_stride": (1, 2, 2),
        "pool1_padding": (0, 0, 0),
        "pool2": 2,
    },
    # facebookresearch/SlowFast@287ec00, `c2d` and `i3d`; also the C2D of open-mmlab/mmaction2@4d6c934.
    "slowfast": {
        "conv1_stride": (1, 2, 2),
        "pool1": (1, 3, 3),
        "pool1_stride": (1, 2, 2),
        "pool1_padding": (0, 1, 1),
        "pool2": 2,
    },
    # open-mmlab/mmaction2@4d6c934, `ResNet3d` of the I3D configurations: pool1 drops every other frame.
    "mmaction2": {
        "conv1_stride": (2, 2, 2),
        "pool1": (1, 3, 3),
        "pool1_stride": (2, 2, 2),
        "pool1_padding": (0, 1, 1),
        "pool2": 2,
    },
    # SlowFast's `slow` and `c2d_nopool`, MMAction2's `ResNet3dSlowOnly`: the number of frames never changes.
    "nopool": {
        "conv1_stride": (1, 2, 2),
        "pool1": (1, 3, 3),
        "pool1_stride": (1, 2, 2),
        "pool1_padding": (0, 1, 1),
        "pool2": None,
    },
}

Architecture = Literal["c2d", "i3d", "i3d333", "slowonly"]
ARCHITECTURES: dict[Architecture, dict[str, Any]] = {
    "c2d": {"conv1_time": 1, "inflated": ((0,), (0,), (0,), (0,))},
    # As in all released code; the paper's text inflates one of two blocks in res2 as well.
    "i3d": {"conv1_time": 5, "inflated": ((1,), (1, 0), (1, 0), (0, 1)), "inflation": "3x1x1"},
    # The paper's other inflation, in MMAction2 as `inflate_style="3x3x3"`.
    "i3d333": {"conv1_time": 5, "inflated": ((1,), (1, 0), (1, 0), (0, 1)), "inflation": "3x3x3"},
    # Feichtenhofer et al., ICCV 2019, table 1: only the blocks of res4 and res5 have a temporal kernel.
    "slowonly": {"conv1_time": 1, "inflated": ((0,), (0,), (1,), (1,)), "inflation": "3x1x1"},
}


def arguments_of(convention: VideoConvention, architecture: Architecture) -> dict[str, Any]:
    """The arguments of `VideoResNet` for a convention and an architecture; ValueError for unknown names."""
    one_of("convention", convention, get_args(VideoConvention))
    one_of("architecture", architecture, get_args(Architecture))
    return {**VIDEO_CONVENTIONS[convention], **ARCHITECTURES[architecture]}
