"""Sign-language digits: 10 classes of photographs of hands, 100 x 100 pixels.

Data: github ardamavi/Sign-Language-Digits-Dataset (Mavi 2020, arXiv 2011.08927), class-per-folder.
"""

from dataclasses import replace

from wholeframe.recipes import folder
from wholeframe.train.recipe import Recipe, Schedule


def small_nl() -> Recipe:
    """A small network with one non-local block, trained from scratch in minutes on a CPU.

    wholeframe train digits --data DIR --out runs/digits
    """
    return replace(folder.small_nl(), schedule=Schedule(epochs=25, lr=4e-3, weight_decay=0.05, clip=1.0))
