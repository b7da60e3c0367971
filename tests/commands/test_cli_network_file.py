"""Every command that takes a run takes a file of `wf.save` as well, and gives the same answers."""

import json

import pytest

import wholeframe as wf


@pytest.fixture(scope="module")
def file(run, tmp_path_factory):
    """The network of the run in a file, in a folder of its own."""
    path = tmp_path_factory.mktemp("file") / "small.safetensors"
    saved = wf.save(wf.load_run(run), path)
    assert (saved.header.input, saved.header.classes) == ((3, 16, 16), ("cat", "dog"))
    return path


def same(call, capsys, run, file, command, *arguments):
    """What a command prints for the file, which is what it prints for the run."""
    texts = []
    for model in (run, file):
        call(command, model, *arguments)
        texts.append(capsys.readouterr().out.replace(str(model), "MODEL"))
    assert texts[0] == texts[1]
    return texts[0]


def test_predict(call, capsys, run, file, photo):
    assert " cat " in same(call, capsys, run, file, "predict", photo)


def test_cost(call, capsys, run, file):
    assert "3 x 16 x 16, 2 classes" in same(call, capsys, run, file, "cost")


def test_explain(call, capsys, run, file, photo, tmp_path):
    pictures = []
    for model in (run, file):
        call("explain", model, photo, "-o", tmp_path / "picture.png", "--query", 5, 5)
        pictures.append((tmp_path / "picture.png").read_bytes())
    assert pictures[0] == pictures[1]


def test_evaluate(call, capsys, run, file, photos):
    figures = []
    for model, weights in ((run, ["--weights", "last"]), (file, [])):
        call("evaluate", model, "--data", photos, "--split", "all", *weights)
        capsys.readouterr()
        root = run / "evaluations" if model is run else file.parent / "small-evaluations"
        folder = next(root.glob("*all*"))
        figures.append(json.loads((folder / "figures.json").read_text()))
    assert figures[0] == figures[1]


def test_train_starts_from_it(call, capsys, file, photos, tmp_path, small):
    call("train", "small_nl", "--data", photos, "--out", tmp_path / "run", *small, "--start", file)
    assert f"from '{file}'" in capsys.readouterr().out


def test_what_a_file_does_not_have(refused, file, photo, photos, tmp_path):
    assert "has weights itself; leave --weights best out" in refused("predict", file, photo, "--weights", "best")
    assert "has a network and not its training" in refused("curves", file, "-o", tmp_path / "c.png")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(file.read_bytes()[:-1])
    for command in (("predict", broken, photo), ("cost", broken), ("evaluate", broken, "--data", photos)):
        assert "is truncated or damaged" in refused(*command)
    changed = bytearray(file.read_bytes())
    changed[-1] ^= 1
    broken.write_bytes(bytes(changed))
    for command in (
        ("predict", broken, photo),
        ("train", "small_nl", "--data", photos, "--out", tmp_path / "r", "--batch", 8, "--start", broken),
    ):
        assert "the checksum of its header and tensors differs" in refused(*command)
