"""Where papers put blocks in a ResNet: globs over the module names that torchvision, timm and `VideoResNet` share.

After block 4 of res4 is `layer3.4`; before its residual sum is `layer3.4.bn3`. res2 to res5 are `layer1` to `layer4`.
"""

from typing import Literal

Depth = Literal[18, 34, 50, 101, 152]
STAGES: dict[Depth, tuple[int, int, int, int]] = {  # residual blocks in res2, res3, res4 and res5
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
Stride = Literal["3x3", "1x1"]


def branches(depth: Depth, *stages: int) -> tuple[str, ...]:
    """Before the residual sum of every block of these stages (res2 is 2), after the last batch norm of the branch."""
    return tuple(f"layer{stage - 1}.*.{_last_norm(depth)}" for stage in stages)


def last_branches(depth: Depth, *stages: int) -> tuple[str, ...]:
    """Before the residual sum of the last block of each of these stages."""
    return tuple(f"layer{stage - 1}.{STAGES[depth][stage - 2] - 1}.{_last_norm(depth)}" for stage in stages)


def before_last(depth: Depth) -> tuple[str, ...]:
    """Before the last residual block of res4: one block (Wang et al., tables 2a and 2b; Yue et al.)."""
    return (f"layer3.{STAGES[depth][2] - 2}",)


def every_other(depth: Depth) -> tuple[str, ...]:
    """Two blocks in res3 and three in res4 (Wang et al., table 2c).

    For ResNet-101 the paper says "the corresponding blocks". The authors' Caffe2 code takes every seventh block of
    res4, and so does this function; PySlowFast takes blocks 1, 3 and 5.
    """
    res4 = (6, 13, 20) if depth == 101 else (1, 3, 5)
    return ("layer2.1", "layer2.3", *(f"layer3.{index}" for index in res4))


def all_of_res3_and_res4() -> tuple[str, ...]:
    """After every block of res3 and res4, ten in ResNet-50 (Wang et al., table 2c)."""
    return ("layer2.*", "layer3.*")


def _last_norm(depth: Depth) -> str:
    return "bn3" if depth >= 50 else "bn2"
