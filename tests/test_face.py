"""What `import wholeframe` shows: the list of public names, all of them lazy."""

import ast
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import wholeframe as wf
from wholeframe import parts

BLOCKS = [
    "NonLocal",
    "CGNL",
    "GlobalContext",
    "SimplifiedNonLocal",
    "SqueezeExcite",
    "EffectiveSqueezeExcite",
    "EfficientChannelAttention",
    "ContextBlock",
    "GSoP",
    "GSoPChannel",
    "GSoPPosition",
    "ISqrtCov",
    "CBAM",
    "BAT",
    "GatherExcite",
    "Affine",
]
FUNCTIONS = [
    "create_model",
    "insert",
    "remove",
    "blocks_of",
    "verify",
    "bake",
    "restore",
    "sites",
    "load_run",
    "save",
    "load",
    "save_pretrained",
    "from_pretrained",
    "push_to_hub",
    "reset_blocks",
    "sync_batchnorm",
    "freeze_norms",
    "inflate",
    "attention",
    "dependence",
    "collapse",
    "cost",
    "fit",
    "evaluate",
]
OTHERS = [
    "Recording",
    "Report",
    "Saved",
    "Site",
    "Layout",
    "Placement",
    "Block",
    "BLOCKS",
    "MODELS",
    "parts",
    "ops",
    "convert",
    "__version__",
]
PARTS = [
    "AttentionContext",
    "CovarianceContext",
    "MaxContext",
    "MeanAndMaxContext",
    "MeanContext",
    "MeanMaxContext",
    "StdContext",
    "Bottleneck",
    "ChannelConv",
    "IdentityTransform",
    "LinearTransform",
    "RowConv",
    "SharedBottleneck",
]
HEAVY = ("torch", "torch._dynamo", "torchvision", "lightning", "matplotlib", "tyro")


def loaded_by(source: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has imported after running these lines."""
    source += f"\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    return set(ast.literal_eval(told.splitlines()[-1]))


def test_the_list_of_public_names():
    shown = {name for name in dir(wf) if not name.startswith("__") or name == "__version__"}
    assert shown == {*BLOCKS, *FUNCTIONS, *OTHERS}
    assert sorted(name for name in dir(parts) if not name.startswith("__")) == sorted(PARTS)


@pytest.mark.parametrize("name", [*BLOCKS, *FUNCTIONS, *OTHERS, *(f"parts.{name}" for name in PARTS)])
def test_every_public_name_resolves_and_has_a_docstring(name):
    value = parts if name.startswith("parts.") else wf
    value = getattr(value, name.removeprefix("parts."))
    if name in ("BLOCKS", "MODELS"):
        assert isinstance(value, dict) and value
    elif name == "__version__":
        assert value[0].isdigit()
    else:
        assert value.__doc__ and len(value.__doc__) > 20 and not value.__doc__.startswith(f"{name}(")


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ("import wholeframe", set()),
        ("import wholeframe; dir(wholeframe)", set()),
        ("from wholeframe import NonLocal, insert, parts", {"torch"}),
        ("import wholeframe.ops", {"torch"}),
    ],
)
def test_importing_waits_for_no_more_than_it_uses(source, allowed):
    assert loaded_by(source) == allowed


@pytest.mark.parametrize("arguments", [(), ("--help",), ("--version",), ("trian",)])
def test_help_version_and_a_mistyped_command_do_not_wait_for_torch(arguments):
    source = f"""
import sys
sys.argv = ["wholeframe", *{arguments}]
from wholeframe.cli import main
try: main()
except SystemExit: pass"""
    assert not loaded_by(source)


def test_editors_see_the_names_that_the_table_has():
    tree = ast.parse(Path(wf.__file__).read_text())
    (typing,) = [node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name)]
    imports = [node for node in typing.body if isinstance(node, ast.ImportFrom)]
    assert all(alias.name == alias.asname for node in imports for alias in node.names), "`X as X` is a public name"
    seen = {alias.name: node.module for node in imports for alias in node.names}
    assert seen == {**wf._MODULES, **dict.fromkeys(wf._PACKAGES, "wholeframe")}
    assert (Path(wf.__file__).parent / "py.typed").is_file()


def test_names_are_the_objects_of_their_modules():
    from wholeframe.blocks.non_local import NonLocal
    from wholeframe.ops import layout

    assert wf.NonLocal is NonLocal and wf.ops.layout is layout
    assert wf.NonLocal is wf.NonLocal and "NonLocal" in vars(wf), "the second access needs no import"
    assert pickle.loads(pickle.dumps(wf.NonLocal)) is NonLocal
    assert b"wholeframe.blocks.non_local" in pickle.dumps(wf.NonLocal(8))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Nonlocal", "did you mean 'NonLocal'?"),
        ("creat_model", "did you mean 'create_model'?"),
        ("MeanContext", "contexts and transforms are in `wholeframe.parts`"),
        ("zzzzz", "'zzzzz' (`dir(wholeframe)` lists its names"),
    ],
)
def test_an_unknown_name(name, hint):
    with pytest.raises(AttributeError) as caught:
        getattr(wf, name)
    assert str(caught.value).startswith(f"module 'wholeframe' has no attribute {name!r}") and hint in str(caught.value)
    assert not hasattr(wf, "__wrapped__")
    with pytest.raises(ImportError, match="cannot import name 'Nonlocal'"):
        from wholeframe import Nonlocal  # noqa: F401


@pytest.mark.parametrize("name", ["r18_gc", "c2d_r18_nl1"])
def test_an_unknown_keyword_of_create_model(name):
    with pytest.raises(ValueError, match="has no argument 'num_clases'; did you mean 'num_classes'"):
        wf.create_model(name, num_clases=10)


def test_load_run(tmp_path):
    from wholeframe.models.build import ModelConfig
    from wholeframe.train.fit import network_for
    from wholeframe.train.recipe import Images, Recipe
    from wholeframe.train.run import Run

    recipe = Recipe(model=ModelConfig(backbone="small", block="gc", at=("stage3",)), data=Images(size=16))
    run, network = Run(tmp_path / "run"), network_for(recipe, 2).eval()
    run.write(recipe, ("cat", "dog"), "photos")
    torch.save({"state_dict": {f"network.{key}": value for key, value in network.state_dict().items()}}, run.last)
    image = torch.randn(2, 3, 16, 16)
    loaded = wf.load_run(str(run.folder))
    assert torch.equal(loaded(image), network(image)) and not loaded.training
    assert loaded.classes == ("cat", "dog") and list(loaded.state_dict()) == list(network.state_dict())
    with pytest.raises(ValueError, match="weights='beast' is not one of 'last', 'best'; did you mean 'best'"):
        wf.load_run(run.folder, "beast")
    with pytest.raises(ValueError, match="is no"):
        wf.load_run(tmp_path)
