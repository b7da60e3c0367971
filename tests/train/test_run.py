"""A run folder: written, read back, and refused where it is none."""

import dataclasses
import json
import math
import pickle
from pathlib import Path

import pytest
import torch

from wholeframe.data.video.sampling import Sampling
from wholeframe.models.build import ModelConfig
from wholeframe.train.fit import network_for
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.inputs.images import Images
from wholeframe.train.recipe import SGD, AdamW, Cosine, Recipe, Schedule, Steps
from wholeframe.train.run import Run, load_run, read_checkpoint, write_json
from wholeframe.train.tasks.classification import Classification

RECIPE = Recipe(
    model=ModelConfig(backbone="small", block="gc", at=("stage2", "stage3"), options={"ratio": 0.25}),
    data=Images(size=16, batch=4, flip=True, workers=0),
    schedule=Schedule(epochs=3, lr=0.1, clip=None),
    seed=7,
    precision="bf16-mixed",
)
IMAGE = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def run(tmp_path):
    """A run folder as a training leaves it, with made-up weights."""
    run = Run(tmp_path / "deep" / "run")
    run.write(RECIPE, ("cat", "dog"), "photos")
    state = {f"network.{key}": value for key, value in network_for(RECIPE, 2).state_dict().items()}
    torch.save({"state_dict": state, "epoch": 1}, run.last)
    return run


def test_recipe_and_classes_come_back(run):
    assert run.recipe() == RECIPE
    assert run.classes() == ("cat", "dog")
    assert run.epochs() == 2


def test_what_was_used_is_on_record(run):
    record = json.loads(run.environment_file.read_text())
    assert record["torch"] == torch.__version__ and record["data"] == "photos"
    assert {"python", "device", "torchvision", "lightning"} <= set(record)


def test_the_network_comes_back_in_eval_mode(run):
    network = run.network()
    assert not any(module.training for module in network.modules())
    assert torch.equal(network(IMAGE), network_for(RECIPE, 2).eval()(IMAGE))


@pytest.mark.slow
def test_pretrained_weights_are_not_fetched_again(run, monkeypatch):
    monkeypatch.setattr("torch.hub.urlopen", None)
    model = ModelConfig(backbone="torchvision/resnet18", weights="DEFAULT", block="gc", at=("layer4",))
    bare = dataclasses.replace(RECIPE, model=dataclasses.replace(model, weights=None))
    run.write(dataclasses.replace(RECIPE, model=model), ("cat", "dog"), "photos")
    state = {f"network.{key}": value for key, value in network_for(bare, 2).state_dict().items()}
    torch.save({"state_dict": state}, run.last)
    assert run.network()(IMAGE).shape == (2, 2)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(schedule=Schedule(90, optimizer=SGD(nesterov=False), rate=Steps(drops=(30, 60.5), warmup=5))),
        Recipe(
            schedule=Schedule(optimizer=AdamW(betas=(0.5, 0.9)), rate=Cosine(warmup=1)),
            task=Classification(labels="many"),
        ),
        Recipe(data=Clips(Sampling(8, 8, short="clamp", views="pyslowfast"), window=math.inf, colours="torchvision")),
        Recipe(model=ModelConfig(options={"pool": (1, 2, 2), "kind": "dot", "norm": None})),
    ],
    ids=("steps", "cosine", "clips", "options"),
)
def test_every_kind_of_recipe_comes_back(run, recipe):
    run.write(recipe, ("cat", "dog"), "photos")
    assert run.recipe() == recipe


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.pop("type"),
        lambda fields: fields.update(speed=3),
        lambda fields: fields["schedule"].update(epochs=0),
    ],
    ids=("no type", "unknown field", "wrong value"),
)
def test_a_recipe_of_another_version(run, change):
    fields = json.loads(run.recipe_file.read_text())
    change(fields)
    write_json(run.recipe_file, fields)
    with pytest.raises(ValueError, match=r"this version of wholeframe cannot read '.*recipe.json': "):
        run.recipe()


def test_best_and_last_are_two_files(run):
    with pytest.raises(ValueError, match=r"there is no checkpoint '.*best\.ckpt'; the run may have been stopped"):
        run.network("best")


def test_a_run_is_loaded_by_its_folder(run):
    assert torch.equal(load_run(str(run.folder))(IMAGE), run.network()(IMAGE))
    with pytest.raises(ValueError, match="weights='first' is not one of 'last', 'best'"):
        load_run(run.folder, "first")


@pytest.mark.parametrize("missing", ["recipe.json", "environment.json"])
def test_a_folder_without_a_record_is_no_run(run, missing):
    (run.folder / missing).unlink()
    with pytest.raises(ValueError, match=f"is not a run folder: it has no {missing}; `wholeframe train"):
        run.network()


def test_weights_of_another_network_are_refused(run):
    torch.save({"state_dict": {"network.head.0.weight": torch.zeros(3)}}, run.last)
    with pytest.raises(ValueError, match=r"last\.ckpt' is not a checkpoint of the network in '.*recipe\.json'"):
        run.network()


# ------------------------------------------------------------------------------------------- checkpoints


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a checkpoint\n",
        b"hello world\n",  # reads as a pickle that fetches what it never stored
        b"t.b\n",
        b'{"state_dict": {}}',
        b"\x89PNG\r\n\x1a\n",
        b"PK\x03\x04 and no more",
        pickle.dumps([1, 2]),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path, content):
    file = tmp_path / "a.ckpt"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.ckpt' is not a checkpoint, or is damaged \("):
        read_checkpoint(file)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_checkpoint(run, part):
    whole = run.last.read_bytes()
    run.last.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ValueError, match="is not a checkpoint, or is damaged"):
        read_checkpoint(run.last)


@pytest.mark.parametrize("save", ["torch", "pickle"])
def test_code_in_a_checkpoint_does_not_run(tmp_path, save):
    file, mark = tmp_path / "a.ckpt", tmp_path / "ran"
    content = {"state_dict": {"a": Trap(mark)}}
    torch.save(content, file) if save == "torch" else file.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="is not a checkpoint, or is damaged"):
        read_checkpoint(file)
    assert not mark.exists()
    pickle.loads(pickle.dumps(content))
    assert mark.exists(), "the trap works"


@pytest.mark.parametrize("content", [torch.ones(2), {"weights": {}}, [1]])
def test_a_torch_file_of_something_else(tmp_path, content):
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match=r"a\.ckpt' is not a checkpoint of a run: it holds no state_dict"):
        read_checkpoint(tmp_path / "a.ckpt")


def test_a_missing_checkpoint(tmp_path):
    with pytest.raises(ValueError, match=r"there is no checkpoint '.*a\.ckpt'; the run may have been stopped before"):
        read_checkpoint(tmp_path / "a.ckpt")


def test_json_is_written_as_a_whole_or_not_at_all(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, {"a": 1})
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert json.loads(file.read_text()) == {"a": 1}
