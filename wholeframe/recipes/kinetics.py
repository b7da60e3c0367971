"""Kinetics-400: 400 actions, clips of ten seconds from YouTube.

Data: a list `label,youtube_id,time_start,time_end,split` and videos named by their id; see
`wholeframe.data.video.csv_lists`. Published schedules count iterations; here they are converted to passes over
the 234,643 training videos of Wang et al.
"""

from wholeframe.data.video.sampling import Sampling
from wholeframe.models.build import ModelConfig
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.recipe import SGD, Recipe, Schedule, Steps

VIDEOS = 234_643


def epochs(iterations: int, batch: int, videos: int = VIDEOS) -> float:
    """Iterations as passes over the training videos."""
    return round(iterations * batch / videos, 1)


def i3d_r50_nl5() -> Recipe:
    """NL I3D: an inflated ResNet-50 with five non-local blocks, clips of 32 x 2 frames.

    Wang et al. (CVPR 2018) and their released code: from ImageNet, SGD with Nesterov momentum, 400,000 iterations of
    64 clips, a tenth of the rate after 150,000 and 300,000; norms trained, without decay; dropout 0.5. Evaluated on 10
    clips with three crops each, after the norms took new statistics (`--precise-bn 200`).

    Published, not ours: top-1 74.9, top-5 91.6 % (table 2f); with --backbone c2d_r50 71.8, 89.7; i3d_r50 73.3, 90.7;
    c2d_r50_nl5 73.8, 91.0.

    wholeframe train kinetics --data DIR --out runs/kinetics --devices 8
    wholeframe evaluate runs/kinetics --data DIR --views 10x3 --precise-bn 200
    """
    return Recipe(
        model=ModelConfig(backbone="i3d_r50_nl5", weights="DEFAULT", block=None),
        data=Clips(sampling=Sampling(frames=32, stride=2), batch=64, workers=8),
        schedule=Schedule(
            epochs=109,
            lr=0.01,
            weight_decay=1e-4,
            optimizer=SGD(),
            rate=Steps(drops=(epochs(150_000, 64), epochs(300_000, 64))),
        ),
    )


def i3d_r50_nl5_8x8() -> Recipe:
    """NL I3D on clips of 8 x 8 frames, the cheaper variant of the released code.

    Everything else is that of `kinetics`. Published by the released code, not ours: top-1 74.7, top-5 91.6 %; with
    --backbone i3d_r50_8x8 73.4, 90.9; c2d_r50_8x8 71.9, 90.0.

    wholeframe train kinetics_8x8 --data DIR --out runs/kinetics_8x8 --devices 8
    wholeframe evaluate runs/kinetics_8x8 --data DIR --views 10x3 --precise-bn 200
    """
    recipe = i3d_r50_nl5()
    return Recipe(
        model=ModelConfig(backbone="i3d_r50_nl5_8x8", weights="DEFAULT", block=None),
        data=Clips(sampling=Sampling(frames=8, stride=8), batch=64, workers=8),
        schedule=recipe.schedule,
    )


def i3d_r50_nl5_128x1() -> Recipe:
    """NL I3D on clips of 128 frames, norms frozen, from the weights for 32 frames without blocks.

    Wang et al. (CVPR 2018), section 4.1: first `kinetics --backbone i3d_r50`, then this recipe, whose norms are fixed
    affine maps; 400,000 iterations of 16 clips.

    Published, not ours: top-1 76.5, top-5 92.6 % (table 2g); with --backbone i3d_r50_128x1 74.9, 91.7.

    wholeframe train kinetics --backbone i3d_r50 --data DIR --out runs/kinetics_i3d --devices 8
    wholeframe train kinetics_128 --data DIR --out runs/kinetics_128 --start runs/kinetics_i3d --devices 8
    """
    return Recipe(
        model=ModelConfig(backbone="i3d_r50_nl5_128x1", block=None),
        data=Clips(sampling=Sampling(frames=128, stride=1), batch=16, workers=8),
        schedule=Schedule(
            epochs=27,
            lr=0.0025,
            weight_decay=1e-4,
            optimizer=SGD(),
            rate=Steps(drops=(epochs(150_000, 16), epochs(300_000, 16))),
        ),
    )
