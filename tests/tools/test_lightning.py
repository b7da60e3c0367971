"""Lightning: a module that inserts in `__init__`, from hyper-parameters, and its checkpoint in another process."""

import subprocess
import sys
import textwrap

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

READER = textwrap.dedent("""
    import sys, torch
    from classifier import Classifier

    module = Classifier.load_from_checkpoint(sys.argv[1], map_location="cpu").eval()
    with torch.no_grad():
        torch.save(module.network(torch.load(sys.argv[2])), sys.argv[3])
""")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_a_checkpoint_loads_in_another_process(tmp_path, recipe, monkeypatch):
    lightning = pytest.importorskip("lightning")
    (tmp_path / "classifier.py").write_text(recipe("LightningModule"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "classifier", raising=False)
    from classifier import Classifier

    module, x = Classifier(at=("layer3", "layer4.1.bn2")), torch.rand(4, 3, 64, 64)
    start = {name: p.detach().clone() for name, p in module.named_parameters() if ".wholeframe." in name}
    trainer = lightning.Trainer(
        max_epochs=5, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(module, DataLoader(TensorDataset(x, torch.arange(4)), batch_size=4))
    still = [name for name, p in module.named_parameters() if name in start and torch.equal(p, start[name])]
    assert start and not [name for name in still if not name.endswith("logits.bias")]
    trainer.save_checkpoint(tmp_path / "last.ckpt")

    torch.save(x, tmp_path / "x.pt")
    command = [sys.executable, "-c", READER, *(str(tmp_path / name) for name in ("last.ckpt", "x.pt", "y.pt"))]
    subprocess.run(command, check=True, cwd=tmp_path)
    with torch.no_grad():
        assert torch.equal(torch.load(tmp_path / "y.pt"), module.eval().network(x))
