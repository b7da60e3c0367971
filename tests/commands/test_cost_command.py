"""`wholeframe cost`, as a person calls it."""

import csv
import re

import pytest
import torch

import wholeframe as wf
from wholeframe.commands import cost
from wholeframe.models.build import create_backbone


def test_wrong_names(refused):
    told = refused("cost", "r50_gcc")
    assert "'r50_gcc'" in told and "r50_gc" in told.replace("'r50_gcc'", "")


@pytest.mark.slow
def test_a_named_network(capsys):
    cost.main(["r50_gc", "--input", "3", "64", "64"])
    told = capsys.readouterr().out
    assert told.startswith("r50_gc on 3 x 64 x 64, 1000 classes\n  28,078,773 parameters, ")
    assert re.search(r"3\.87 +3\.87 +G multiply-adds", told) and "top-1" not in told
    assert re.search(r"^ layer2\.0\.bn3 +GlobalContext +33,889 ", told, re.MULTILINE)
    assert re.search(r"^ rest of layer2 +Sequential +1,219,584 ", told, re.MULTILINE)
    assert re.search(r"^ total +28,078,773 ", told, re.MULTILINE)
    (sentence,) = [line for line in told.splitlines() if line.startswith("13 GlobalContext blocks add")]
    assert "9.9 % parameters" in sentence and "of the memory that training keeps" in sentence


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/resnet18", "resnet18"])
def test_other_networks(capsys, name):
    cost.main([name])
    told = capsys.readouterr().out
    assert "11,689,512 parameters, 1,814,073,344 multiply-adds" in told and "blocks add" not in told


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("name", "sample"),
    [
        pytest.param("torchvision/inception_v3", "3 x 299 x 299", marks=pytest.mark.slow),
        pytest.param("torchvision/r3d_18", "3 x 16 x 112 x 112", marks=pytest.mark.slow),
        pytest.param("torchvision/vit_b_32", "3 x 224 x 224", marks=pytest.mark.slow),
        ("timm/test_vit", "3 x 160 x 160"),
        pytest.param("i3d_r50_nl5", "3 x 32 x 224 x 224", marks=pytest.mark.slow),
        ("maskrcnn_tiny_gc", "3 x 256 x 384"),
        ("small", "3 x 224 x 224"),
    ],
)
@pytest.mark.filterwarnings("ignore:The default weight initialization of inception_v3:FutureWarning")
def test_every_network_gets_an_input_that_it_takes(capsys, name, sample):
    cost.main([name])
    assert capsys.readouterr().out.startswith(f"{name} on {sample}")


@pytest.mark.slow
def test_a_network_for_segmentation_fetches_nothing(capsys, monkeypatch):
    def fetch(*_args, **_options):
        raise AssertionError("no weights were asked for")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", fetch)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetch)
    assert create_backbone("torchvision/lraspp_mobilenet_v3_large", 21)
    cost.main(["torchvision/lraspp_mobilenet_v3_large", "--input", "3", "64", "64", "--batch", "2"])
    assert "classifier" in capsys.readouterr().out


def test_a_network_without_classes(refused):
    assert "has no classes" in refused("cost", "torchvision/raft_small")


@pytest.mark.slow
def test_a_detector(capsys):
    cost.main(["maskrcnn_tiny_gc"])
    told = capsys.readouterr().out
    assert "multiply-adds of its backbone" in told and "the table is that of the backbone" in told
    assert "6 GlobalContext blocks add to the backbone without them: " in told


def test_the_batch(capsys):
    counts = []
    for batch in ("1", "3"):
        cost.main(["small", "--input", "3", "32", "32", "--batch", batch])
        counts.append(int(re.search(r"([\d,]+) multiply-adds", capsys.readouterr().out)[1].replace(",", "")))
    assert counts[1] == 3 * counts[0]


def test_depth(capsys):
    cost.main(["resnet18", "--depth", "3", "--input", "3", "64", "64"])
    told = capsys.readouterr().out
    assert re.search(r"^ layer1\.0\.conv1 +Conv2d +36,864 ", told, re.MULTILINE)
    assert re.search(r"^ total +11,689,512 ", told, re.MULTILINE)


@pytest.mark.parametrize("file", ["", "last.ckpt"])
def test_a_run(capsys, run, file):
    given = run / file
    cost.main([str(given)])
    told = capsys.readouterr().out
    assert f"{given} on 3 x 16 x 16, 2 classes" in told and "1 NonLocal block adds to the network without it: " in told


@pytest.mark.slow
def test_a_saved_network_with_blocks(capsys, tmp_path):
    network = create_backbone("torchvision/resnet18", 1000)
    wf.insert(network, wf.SqueezeExcite, at="layer[34].1", example=torch.zeros(1, 3, 64, 64))
    torch.save(network.state_dict(), tmp_path / "mine.pt")
    cost.main(["torchvision/resnet18", "--weights", str(tmp_path / "mine.pt"), "--input", "3", "64", "64"])
    told = capsys.readouterr().out
    assert f"{sum(parameter.numel() for parameter in network.parameters()):,} parameters" in told
    assert "2 SqueezeExcite blocks add to the network without them: " in told


@pytest.mark.slow
def test_files(capsys, tmp_path):
    cost.main(["r18_gc", "--input", "3", "64", "64", "-o", str(tmp_path / "out")])
    told = capsys.readouterr().out
    with (tmp_path / "out" / "cost.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["parameters"]) for row in rows) == 11_779_454
    assert f"{sum(int(row['multiply-adds']) for row in rows):,} multiply-adds" in told
    assert sum(row["block"] == "yes" for row in rows) == 6 and rows[0]["class"] == "ResNet"
    assert all(float(row["kept in training (bytes)"]) >= 0 for row in rows)
    assert (tmp_path / "out" / "cost.png").read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in sorted((tmp_path / "out").iterdir())] == ["cost.csv", "cost.png"]


@pytest.mark.slow
def test_measured_in_turns_with_the_network_without_its_blocks(capsys, tmp_path):
    cost.main(["r18_gc", "--input", "3", "64", "64", "--measure", "-o", str(tmp_path)])
    told = capsys.readouterr().out
    share = r"-?[\d.e+-]+ %"
    for kind in ("inference", "a training step"):
        sentence = rf"^6 GlobalContext blocks cost this r18_gc {share} of time \({share} to {share}.*\) and {share} of "
        assert re.search(rf"{sentence}memory in {kind}$", told, re.MULTILINE)
    assert "a batch of 1, cpu, 1 thread, float32, 9 turns after one to warm up" in told
    with (tmp_path / "turns.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 9 and {row["network"] for row in rows} == {"with its blocks", "without"}
    assert all(float(row["time (ms)"]) > 0 for row in rows)


def test_measured_without_blocks(capsys):
    cost.main(["small", "--input", "3", "32", "32", "--batch", "2", "--measure"])
    told = capsys.readouterr().out
    number = r"[\d,.]+"
    for kind in ("inference", "training step"):
        line = rf"^ {kind} +the network +{number} +{number} to {number} +{number} *$"
        assert re.search(line, told, re.MULTILINE)
    assert "small has no inserted blocks, so there is nothing to compare it with" in told


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["r18", "--input", "3", "64"], "does not run on 3 x 64 "),
        (["r18", "--input", "4", "64", "64"], "to have 3 channels, but got 4"),
        (["r18", "--input", "3", "0", "64"], "--input 3 0 64 has a side below 1"),
        (["i3d_r50_nl5", "--input", "3", "224", "224"], "for a clip --input 3 32 224 224"),
        (["r18", "--batch", "0"], "batch must be at least 1"),
        (["r18", "--depth", "0"], "depth must be at least 1"),
        (["r18", "--input", "3", "1", "1", "--measure"], "r18 cannot be measured on 3 x 1 x 1 with --batch 1"),
        (["runs/none"], "there is no 'runs/none'"),
    ],
)
def test_what_does_not_fit(refused, arguments, said):
    assert said in refused("cost", *arguments)


def test_a_file_in_the_place_of_the_folder(refused, tmp_path):
    (tmp_path / "file").touch()
    assert "is not a folder" in refused("cost", "small", "-o", tmp_path / "file")


def test_what_is_not_counted_is_said(capsys):
    cost.main(["r18", "--input", "3", "32", "32"])
    told = capsys.readouterr().out
    assert "not counted" in told and "what training keeps is not counted, because " in told
    assert torch.is_grad_enabled()
