"""Every recipe by name: it is described, it can be built, and a run gives it back."""

import dataclasses
import inspect

import pytest
import torch
import torchvision

from wholeframe.blocks import BLOCKS
from wholeframe.explain.attention import blocks_with_attention
from wholeframe.models.build import BACKBONES, build
from wholeframe.models.zoo import MODELS
from wholeframe.recipes import RECIPES, folder, kinetics, synthetic
from wholeframe.train.fit import network_for
from wholeframe.train.recipe import Recipe
from wholeframe.train.run import Run


@pytest.fixture(params=RECIPES)
def name(request):
    return request.param


@pytest.fixture
def recipe(name):
    return RECIPES[name]()


def test_it_is_a_recipe_and_the_same_each_time(name, recipe):
    assert isinstance(recipe, Recipe) and recipe == RECIPES[name]()


def test_it_says_what_it_is(name):
    first, *_ = inspect.getdoc(RECIPES[name]).splitlines()
    assert first.endswith(".") and len(first) > 20


def test_a_run_gives_it_back(recipe, tmp_path):
    run = Run(tmp_path / "run")
    run.write(recipe, ("a", "b"), "photos")
    assert run.recipe() == recipe


def test_its_backbone_and_block_exist(recipe):
    library, _, bare = recipe.model.backbone.rpartition("/")
    if recipe.model.backbone in MODELS:
        assert recipe.model.block is None, "the named networks have theirs"
        return
    assert recipe.model.backbone in BACKBONES or (library == "torchvision" and bare in torchvision.models.list_models())
    assert recipe.model.block in BLOCKS
    if recipe.model.weights is not None:
        assert recipe.model.weights in torchvision.models.get_model_weights(bare).__members__


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", [name for name, make in RECIPES.items() if make().model.backbone not in MODELS])
def test_its_network_can_be_built(recipe):
    """At random, since nothing here reaches a network; at 64 pixels, since sites do not depend on the size."""
    network = build(dataclasses.replace(recipe.model, weights=None), 3, torch.zeros(1, 3, 64, 64))
    assert blocks_with_attention(network)
    if recipe.model.backbone == "torchvision/resnet50":
        assert list(blocks_with_attention(network)) == ["layer3.4.wholeframe"]
    if recipe.model.backbone == "torchvision/resnet18":
        places = [f"layer{layer}.{block}.bn2.wholeframe" for layer in (2, 3, 4) for block in (0, 1)]
        assert list(blocks_with_attention(network)) == places


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", ["clips", "imagenet", "cub_r50"])
def test_its_network_takes_its_samples(recipe):
    bare = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, weights=None))
    assert network_for(bare, 3) is not None


def test_clips_of_a_recipe_are_what_its_network_takes(recipe):
    """Named networks say how many frames they are for; ours is small enough for fewer."""
    if recipe.model.backbone in MODELS and recipe.model.backbone not in ("c2d_r18_nl1", "i3d_r101_nl5"):
        example = recipe.data.example()
        sample = example if torch.is_tensor(example) else example[0][0][None]  # A detector takes a list of images.
        assert sample.shape[2:-2] == MODELS[recipe.model.backbone].input[1:-2]


def test_iterations_as_epochs():
    assert kinetics.epochs(234_643, 1) == 1 and kinetics.epochs(400_000, 64) == 109.1


def test_the_command_in_a_docstring_names_the_recipe(name):
    """Where it stands; those of `folder` are for any folder."""
    text = inspect.getdoc(RECIPES[name])
    assert "wholeframe train" not in text or f"wholeframe train {name} " in text


@pytest.mark.parametrize("make", [folder.small, synthetic.small_dense])
def test_the_networks_of_compare_are_bare(make):
    recipe = make(seed=3)
    assert recipe.model.block is None and recipe.seed == 3 and recipe.model.backbone in BACKBONES
    build(dataclasses.replace(recipe.model, block="nl"), 2, torch.zeros(1, 3, 32, 32))
