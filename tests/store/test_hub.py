"""A folder as the hub has it: written and read without a network, strictly, with the licence in the card."""

import json
import sys

import huggingface_hub
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import wholeframe as wf
from wholeframe.models.build import create_backbone
from wholeframe.store import hub

FACTS = {"input": (3, 16, 16), "classes": ["a", "b", "c"]}


@pytest.fixture
def network():
    network = create_backbone("small", 3).eval()
    wf.insert(network, wf.GlobalContext, at="stage2", example=torch.randn(1, 3, 16, 16))
    return network


def test_the_round_trip(network, tmp_path):
    saved = wf.save_pretrained(network, tmp_path / "birds", **FACTS, licence="CC-BY-NC-4.0", notes={"scale": "1"})
    assert {file.name for file in (tmp_path / "birds").iterdir()} == {"model.safetensors", "config.json", "README.md"}
    loaded = wf.from_pretrained(tmp_path / "birds", local_files_only=True)
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(loaded(x), network(x)) and loaded.classes == ("a", "b", "c") and saved.deviation == 0
    config = json.loads((tmp_path / "birds" / "config.json").read_text())
    assert config["origin"]["name"] == "small" and config["placements"][0]["recipe"]["block"] == "GlobalContext"


def test_the_card(network, tmp_path):
    wf.save_pretrained(network, tmp_path / "a", **FACTS, licence="CC-BY-NC-4.0", notes={"softmax scale": "1 / sqrt(d)"})
    card = huggingface_hub.ModelCard.load(tmp_path / "a" / "README.md")
    assert card.data.license == "cc-by-nc-4.0" and card.data.library_name == "wholeframe"
    for text in (
        "| stage2.5 | GlobalContext | 48 |",
        "licence CC-BY-NC-4.0",
        "softmax scale: 1 / sqrt(d)",
        "3 x 16 x 16",
    ):
        assert text in card.text
    wf.save_pretrained(network, tmp_path / "b", **FACTS, licence='the "owl" licence')
    other = huggingface_hub.ModelCard.load(tmp_path / "b" / "README.md")
    assert (other.data.license, other.data.license_name) == ("other", 'the "owl" licence')
    wf.save_pretrained(network, tmp_path / "c", **FACTS)
    none = huggingface_hub.ModelCard.load(tmp_path / "c" / "README.md")
    assert none.data.license is None and "It is not stated." in none.text


def test_a_network_of_the_hub_keeps_its_licence_when_it_is_saved_again(network, tmp_path):
    wf.save_pretrained(network, tmp_path / "a", **FACTS, licence="CC-BY-NC-4.0")
    saved = wf.save_pretrained(wf.from_pretrained(tmp_path / "a"), tmp_path / "b")
    assert saved.header.licence == "CC-BY-NC-4.0"


def test_a_missing_weight_is_refused(network, tmp_path):
    wf.save_pretrained(network, tmp_path / "a", **FACTS)
    file = tmp_path / "a" / "model.safetensors"
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    weights = load_file(file)
    weights.pop(next(key for key in weights if "wholeframe" in key))
    save_file(weights, file, metadata)
    with pytest.raises(ValueError, match=r"the checksum of its header and tensors differs"):
        wf.from_pretrained(tmp_path / "a")


def test_what_cannot_be_fetched(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"the folder .*empty' has no model.safetensors; give one that"):
        wf.from_pretrained(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"'a/b' is neither a folder nor a repository that can be fetched"):
        wf.from_pretrained("a/b", cache_dir=tmp_path / "cache", local_files_only=True)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"huggingface_hub is not installed .*pip install 'wholeframe\[hub\]'"):
        wf.from_pretrained("a/b")


def test_what_is_pushed(network, tmp_path, monkeypatch):
    pushed = {}

    class Api:
        def __init__(self, token=None):
            pushed["token"] = token

        def create_repo(self, repo_id, private, exist_ok):
            pushed["private"] = private
            return type("Repo", (), {"repo_id": repo_id})

        def upload_folder(self, repo_id, folder_path, **options):
            pushed["files"] = sorted(file.name for file in folder_path.iterdir())
            pushed["network"] = wf.load(folder_path / hub.WEIGHTS)
            return f"https://hub/{repo_id}"

    monkeypatch.setattr(huggingface_hub.hub_mixin, "HfApi", Api)
    assert wf.push_to_hub(network, "someone/birds", private=True, token="t", **FACTS) == "https://hub/someone/birds"
    assert pushed["files"] == ["README.md", "config.json", "model.safetensors"] and pushed["private"]
    assert pushed["network"].classes == ("a", "b", "c")
