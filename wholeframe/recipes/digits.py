"""Sign-language digits: 10 classes of images of hands, 100 x 100 pixels.

Data: github ardamavi/Sign-Language-Digits-Dataset (Mavi 2020, arXiv 2011.08927), class-per-folder.
"""

from dataclasses import replace

from wholeframe.recipes import folder
from wholeframe.train.recipe import Recipe


def small_nl() -> Recipe:
    """A small network with one non-local block, trained from scratch in minutes on a CPU.

    wholeframe train digits --data DIR --out runs/digits
    """
    recipe = folder.small_nl()
    # Decoding images this small costs less than worker processes on two cores.
    return replace(recipe, data=replace(recipe.data, workers=0), schedule=replace(recipe.schedule, epochs=20))
