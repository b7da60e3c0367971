"""`wholeframe convert`: the report, the file it writes, the list of sources, and what it refuses."""

import pytest
import torch

import wholeframe as wf
from wholeframe.blocks import NonLocal
from wholeframe.commands.convert import given
from wholeframe.convert import converted
from wholeframe.convert.plan import Plan
from wholeframe.convert.whole import WholeSource
from wholeframe.models.origin import Origin
from wholeframe.models.rebuild import rebuild

ORIGIN = Origin("wholeframe", "small", {"num_classes": 3})
SITE = "stage3.5"


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = rebuild(ORIGIN)
    wf.insert(network, NonLocal, SITE, example=torch.randn(1, 3, 32, 32))
    return network.eval()


@pytest.fixture
def file(tmp_path, monkeypatch, network):
    """A file of a source that has the prefix `net.`; without a backbone if asked."""

    def plan(shapes, *, kind="embedded_gaussian", alone=False):
        names = {f"net.{SITE}.wholeframe.": f"{SITE}.wholeframe.", "net.": "" if not alone else None}
        block, origin = NonLocal(48, kind=kind), None if alone else ORIGIN
        blocks, apart = ({}, {SITE: block}) if alone else ({SITE: block}, {})
        return Plan(origin, blocks, names, apart, conventions={"kind": kind}, input=(3, 32, 32))

    source = WholeSource("someone/repository@1", "CC-BY-NC-4.0", (r"^net\.",), plan)
    monkeypatch.setattr(converted, "WHOLE", {"theirs": source})
    torch.save({f"net.{name}": tensor for name, tensor in network.state_dict().items()}, tmp_path / "a.pth")
    return tmp_path / "a.pth"


X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_a_file_becomes_one_of_ours(call, capsys, file, network, tmp_path):
    call("convert", file, "-o", tmp_path / "b.safetensors", "--options", "kind=dot")
    told = capsys.readouterr().out
    assert "source: theirs (someone/repository@1, CC-BY-NC-4.0)\nloaded: 53 tensors\nnew, untrained: none" in told
    assert "assumed: kind: dot" in told and "b.safetensors' has wholeframe/small(num_classes=3)" in told
    loaded = wf.load(tmp_path / "b.safetensors")
    network.get_submodule(SITE).wholeframe.kind = "dot"
    assert torch.equal(loaded(X), network(X))


@pytest.mark.parametrize("name", ["float16", "float8_e5m2"])
def test_weights_of_mixed_precision_are_written_in_one_dtype(call, capsys, file, tmp_path, name):
    narrow = getattr(torch, name)
    state = {key: tensor.to(narrow) if tensor.ndim == 4 else tensor for key, tensor in torch.load(file).items()}
    torch.save(state, file)
    call("convert", file, "-o", tmp_path / "b.safetensors")
    both = " and ".join(sorted([name, "float32"]))
    assert f"weights of {both} are written as float32, without a change" in capsys.readouterr().out
    loaded = wf.load(tmp_path / "b.safetensors").state_dict()
    for key, tensor in state.items():
        ours = loaded[key.removeprefix("net.")]
        assert torch.equal(ours, tensor.to(ours.dtype)) and ours.dtype in (torch.float32, torch.int64)


def test_a_file_that_is_written_over_is_named(call, refused, capsys, file, tmp_path):
    (tmp_path / "b.safetensors").write_text("something")
    call("convert", file, "-o", tmp_path / "b.safetensors")
    told = capsys.readouterr().out
    assert "b.safetensors' is there already, and is written over\n" in told
    assert wf.load(tmp_path / "b.safetensors")
    call("convert", file, "-o", tmp_path / "c.safetensors")
    assert "written over" not in capsys.readouterr().out
    refused("convert", file, "-o", tmp_path / "c.safetensors", "--source", "other")
    assert "written over" not in capsys.readouterr().out


def test_a_block_without_a_site_is_not_written_in_silence(call, capsys, file, monkeypatch, tmp_path):
    state = torch.load(file)
    theirs = {f"head.{name}": tensor for name, tensor in NonLocal(8).state_dict().items()}

    def plan(shapes):
        names = {"head.": "head.wholeframe.", "net.": ""}
        return Plan(ORIGIN, {SITE: NonLocal(48)}, names, {"head": NonLocal(8)})

    source = WholeSource("someone/repository@1", "MIT", (r"^net\.",), plan)
    monkeypatch.setattr(converted, "WHOLE", {"theirs": source})
    torch.save(state | theirs, file)
    call("convert", file, "-o", tmp_path / "b.safetensors")
    told = capsys.readouterr().out
    assert f"no site for them: 'head'; take them by `wf.convert.checkpoint('{file}').blocks`" in told
    assert wf.convert.checkpoint(file).blocks.keys() == {SITE, "head"}


def test_a_file_of_ours_needs_no_conversion(call, refused, file, tmp_path):
    call("convert", file, "-o", tmp_path / "b.safetensors")
    assert "is a file of wf.save already" in refused(
        "convert", tmp_path / "b.safetensors", "-o", tmp_path / "c.safetensors"
    )


def test_without_a_file_to_write_there_is_the_report_alone(call, capsys, file, tmp_path):
    call("convert", file)
    assert "loaded: 53 tensors" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_the_list_has_the_options(call, capsys):
    call("convert", "--list")
    told = capsys.readouterr().out
    assert "video-nonlocal-net" in told and "CC-BY-NC-4.0" in told and "convention (has to be given)" in told


def test_options_are_python_or_text():
    options = ("a=3", "b=(1, 2)", "c=caffe2", "d=1x1", "e=", "f=x=y", "g=True")
    assert given(options) == {"a": 3, "b": (1, 2), "c": "caffe2", "d": "1x1", "e": "", "f": "x=y", "g": True}


def test_what_is_refused(refused, file, tmp_path):
    out = tmp_path / "b.safetensors"
    assert "give the FILE to convert, or --list" in refused("convert")
    assert "is written as safetensors; give a name that ends in" in refused("convert", file, "-o", tmp_path / "b.pth")
    assert "there is no source 'their'" in refused("convert", file, "--source", "their")
    assert "'kind' is not NAME=VALUE" in refused("convert", file, "--options", "kind")
    assert "has 'kind' twice" in refused("convert", file, "--options", "kind=dot", "kind=dot")
    assert "has no argument 'kin'; did you mean 'kind'?" in refused("convert", file, "--options", "kin=dot")
    assert "the file has blocks alone ('stage3.5')" in refused("convert", file, "-o", out, "--options", "alone=True")
    assert not out.exists()
    assert "leave them out with --to" in refused("convert", file, "--to", "mmcv", "--source", "theirs")
    file.rename(out)
    assert "is the file that is converted; give another name" in refused("convert", out, "-o", out)
