"""Hugging Face: a class that inserts in `__init__` survives `save_pretrained`, `from_pretrained` and a new process."""

import importlib
import subprocess
import sys
import textwrap

import pytest
import torch

import wholeframe as wf

transformers = pytest.importorskip("transformers", reason="uv sync --extra tools installs transformers")

SMALL = {
    "ConvNext": dict(hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 2, 1]),
    "ViT": dict(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96, patch_size=16),
    "Swin": dict(embed_dim=16, depths=[1, 1, 2, 1], num_heads=[1, 2, 4, 4], window_size=2),
    "Segformer": dict(hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 4, 4]),
}
AT = {
    "ConvNext": "convnext.encoder.stages.2",
    "ViT": "vit.layers.1",
    "Swin": "swin.encoder.layers.1.blocks.0",
    "Segformer": "segformer.stages.2.blocks.0",
}
OPTIONS = {"Swin": {"output": 0}}  # its blocks return a tuple

READER = textwrap.dedent("""
    import importlib, sys, torch

    for host in sys.argv[1:]:
        model = importlib.import_module(f"classifier_{host}").Classifier.from_pretrained(host).eval()
        with torch.no_grad():
            torch.save(model(torch.load("x.pt")).logits, f"{host}.pt")
""")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:transformers")


def built(host):
    """A small network of this kind with random weights."""
    config = getattr(transformers, f"{host}Config")(image_size=64, num_labels=5, **SMALL[host])
    return getattr(transformers, f"{host}ForImageClassification")(config).eval()


def inserted(host):
    model = built(host)
    wf.insert(model, wf.GlobalContext, at=AT[host], example=torch.zeros(1, 3, 64, 64), **OPTIONS.get(host, {}))
    return model


def logits(model, x):
    with torch.no_grad():
        return model(x).logits


@pytest.fixture(params=SMALL)
def host(request):
    return request.param


@pytest.fixture
def classifier(recipe, tmp_path, monkeypatch):
    """`classifier(host)`: the class of docs/howto/tools.md, in a file that another process imports as well."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(host):
        options = "".join(f", {key}={value!r}" for key, value in OPTIONS.get(host, {}).items())
        source = recipe("transformers.ConvNext").replace("ConvNextFor", f"{host}For")
        source = source.replace('"convnext.encoder.stages.2"', repr(AT[host]) + options)
        (tmp_path / f"classifier_{host}.py").write_text(source)
        monkeypatch.delitem(sys.modules, f"classifier_{host}", raising=False)
        importlib.invalidate_caches()
        return importlib.import_module(f"classifier_{host}").Classifier

    return write


def test_classes_that_insert_go_through_folders_and_another_process(classifier, tmp_path, moved):
    """All hosts in one process, whose imports take longer than the networks."""
    models = {host: moved(classifier(host)(built(host).config).eval()) for host in SMALL}
    for host, model in models.items():
        model.save_pretrained(tmp_path / host)
    x = torch.rand(2, 3, 64, 64)
    torch.save(x, tmp_path / "x.pt")
    subprocess.run([sys.executable, "-c", READER, *models], check=True, cwd=tmp_path)
    for host, model in models.items():
        assert torch.equal(torch.load(tmp_path / f"{host}.pt"), logits(model, x)), host


def test_old_weights_load_into_a_class_that_inserts(host, classifier, tmp_path):
    """transformers initialises what a file lacks in its own way; `reset_blocks` makes the blocks identities again."""
    plain, x = built(host), torch.rand(2, 3, 64, 64)
    plain.save_pretrained(tmp_path / "plain")
    model = classifier(host).from_pretrained(tmp_path / "plain").eval()
    assert wf.reset_blocks(model) == [f"{AT[host]}.wholeframe"]
    assert torch.equal(logits(model, x), logits(plain, x))


def test_a_class_that_does_not_insert_drops_the_blocks_and_verify_says_so(host, tmp_path):
    model = inserted(host)
    model.save_pretrained(tmp_path)
    blocks = wf.blocks_of(model)
    loaded = type(model).from_pretrained(tmp_path)
    with pytest.raises(ValueError, match=AT[host].replace(".", r"\.")):
        wf.verify(loaded, blocks=blocks)


def test_restore_puts_the_blocks_back(host, tmp_path, moved):
    model, x = moved(inserted(host)), torch.rand(2, 3, 64, 64)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    fresh = built(host)
    wf.restore(fresh, tmp_path / "weights.pt")
    assert torch.equal(logits(fresh, x), logits(model, x))


def test_restore_reads_the_file_of_transformers_or_refuses_its_names(host, tmp_path, moved):
    """transformers writes the keys of some networks by older names, which only `from_pretrained` translates."""
    model, fresh, x = moved(inserted(host)), built(host), torch.rand(2, 3, 64, 64)
    model.save_pretrained(tmp_path)
    before = logits(fresh, x)
    if host == "ConvNext":
        wf.restore(fresh, tmp_path / "model.safetensors", blocks=wf.blocks_of(model))
        assert torch.equal(logits(fresh, x), logits(model, x))
    else:
        with pytest.raises(ValueError, match="missing"):
            wf.restore(fresh, tmp_path / "model.safetensors", blocks=wf.blocks_of(model))
        assert torch.equal(logits(fresh, x), before)


def test_training_moves_every_weight_of_the_block(host):
    model, x = inserted(host).train(), torch.rand(4, 3, 64, 64)
    start = {name: p.detach().clone() for name, p in model.named_parameters() if ".wholeframe." in name}
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(5):
        optimiser.zero_grad()
        model(x, labels=torch.arange(4)).loss.backward()
        optimiser.step()
    still = [name for name, p in model.named_parameters() if name in start and torch.equal(p, start[name])]
    assert start and not [name for name in still if not name.endswith("logits.bias")]
