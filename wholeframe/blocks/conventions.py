"""The non-local block as each reference builds it by default: one table of explicit arguments.

An entry that depends on the number of channels is a function of it. Without an entry for `inner`, the reference takes
half the channels.
"""

from typing import Any, Literal, get_args

Convention = Literal["paper", "caffe2", "slowfast", "mmcv", "alexhex7", "timm"]
CONVENTIONS: dict[Convention, dict[str, Any]] = {
    # Wang et al., CVPR 2018, section 3.3: no scale, keys pooled after phi and g, He initialisation, BN gain 0.
    "paper": {"scale": None, "pool": 2, "pool_order": "after", "norm": "bn", "std": None, "init": "identity"},
    # facebookresearch/video-nonlocal-net@c253ed5: USE_SCALE, USE_MAXPOOL on x, N(0, 0.01), BN_INIT_GAMMA 0.
    "caffe2": {"scale": "sqrt_dim", "pool": 2, "pool_order": "before", "norm": "bn", "std": 0.01, "init": "identity"},
    # facebookresearch/SlowFast@287ec00, the module's defaults; its configurations pool with pool=2.
    "slowfast": {"scale": "sqrt_dim", "pool": 1, "pool_order": "before", "norm": "bn", "std": None, "init": "random"},
    # open-mmlab/mmcv 2.2.0: no norm by default; with one, out_bias=False.
    "mmcv": {"scale": "sqrt_dim", "pool": 1, "pool_order": "after", "norm": None, "std": 0.01, "init": "identity"},
    # AlexHex7/Non-local_pytorch@ec15789: sub_sample=True, bn_layer=True.
    "alexhex7": {"scale": None, "pool": 2, "pool_order": "after", "norm": "bn", "std": None, "init": "identity"},
    # timm 1.0.31: scaled by the root of the map's channels; an eighth of them as inner channels, in multiples of 8.
    "timm": {
        "inner": lambda channels: rounded(channels / 8, 8, least=0.9),
        "scale": lambda channels: channels**-0.5,
        "pool": 1,
        "norm": "bn",
        "std": None,
        "init": "identity",
    },
}
NAMES: tuple[Convention, ...] = get_args(Convention)


def expand(convention: Convention, channels: int, kind: str) -> dict[str, Any]:
    """The arguments of `NonLocal` for a convention. Every reference scales the embedded Gaussian alone."""
    values = CONVENTIONS[convention].items()
    arguments = {name: value(channels) if callable(value) else value for name, value in values}
    return {**arguments, "scale": arguments["scale"] if kind == "embedded_gaussian" else None}


def rounded(width: float, divisor: int, *, least: float = 0.0) -> int:
    """timm's `make_divisible`: the multiple of `divisor` nearest to `width` (ties round up), at least one, and never
    below `least` times `width`."""
    multiple = max(int(width + divisor / 2) // divisor, 1) * divisor
    return multiple + divisor if multiple < least * width else multiple
