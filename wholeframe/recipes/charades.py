"""Charades: 157 actions at home, videos of about 30 seconds, several actions at once.

Data: the authors' lists (`Charades_v1_train.csv`, `Charades_v1_test.csv`) next to the videos; see
`wholeframe.data.video.csv_lists`.
"""

from wholeframe.data.video.sampling import Sampling
from wholeframe.models.build import ModelConfig
from wholeframe.recipes.kinetics import epochs
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.recipe import SGD, Recipe, Schedule, Steps
from wholeframe.train.tasks.classification import Classification

VIDEOS = 7_985  # Training videos, as commonly given; not counted here.


def i3d_r101_nl5() -> Recipe:
    """NL I3D, ResNet-101, on 128 frames: a sigmoid per action, mean average precision over the actions that occur.

    Wang et al. (CVPR 2018), section 5.2: initial weights from the network for Kinetics, one clip per GPU (8), 200,000
    iterations at 0.00125, a tenth of it after every 75,000. They enlarge crops of 224 to 288, so that the side here is
    288 and the frames are larger in proportion. No code was released. Their networks for 128 frames have frozen norms;
    here the norms are trained.

    Published, not ours: mAP 37.5 % (train / val), 39.5 % (trainval / test), of the baseline 35.5 and 37.2 (table 4);
    re-implementations with ResNet-50 are reported to reach 30 to 32.

    wholeframe train kinetics --backbone i3d_r101_nl5 --data KINETICS --out runs/kinetics_r101 --devices 8
    wholeframe train charades --data DIR --out runs/charades --start runs/kinetics_r101 --devices 8
    wholeframe evaluate runs/charades --data DIR --views 10x3
    """
    return Recipe(
        model=ModelConfig(backbone="i3d_r101_nl5", block=None),
        data=Clips(sampling=Sampling(frames=128, stride=1), size=288, batch=8, workers=8),
        schedule=Schedule(
            epochs=200,
            lr=0.00125,
            weight_decay=1e-4,
            optimizer=SGD(),
            rate=Steps(drops=(epochs(75_000, 8, VIDEOS), epochs(150_000, 8, VIDEOS))),
        ),
        task=Classification(labels="many"),
    )
