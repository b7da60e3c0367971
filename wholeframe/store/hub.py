"""Networks in a folder, or on the hub of Hugging Face: the file of `wf.save`, its header to read, and a model card.

huggingface_hub's own mixin for PyTorch loads with strict=False, which leaves missing weights random, and writes the
arguments of a constructor that are not JSON nowhere. Here its general mixin moves the files alone: what is in them, and
that it fits, is for `wf.save` and `wf.load`.
"""

import json
import os
from pathlib import Path
from typing import Any

from torch import nn

from wholeframe.messages import shown
from wholeframe.store.card import card_text
from wholeframe.store.load import load
from wholeframe.store.save import Saved, save

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save_pretrained(network: nn.Module, folder: str | os.PathLike[str], **facts: Any) -> Saved:
    """Write a network to a folder as the hub has it: model.safetensors, config.json and README.md.

        wf.save_pretrained(network, "birds", classes=names, licence="CC-BY-4.0")

    Args:
        network: as in `wf.save`.
        folder: made if it is not there. A README.md that is there stays as it is, because people edit them.
        facts: `origin`, `classes`, `input`, `mean`, `std`, `licence` and `notes` of `wf.save`.

    Returns:
        What `wf.save` returns.

    Raises:
        ValueError: for what `wf.save` refuses, and without huggingface_hub.
    """
    files = _files(network, facts)
    files.save_pretrained(folder)
    return files.saved


def from_pretrained(
    name: str | os.PathLike[str], backbone: nn.Module | None = None, *, revision: str | None = None, **access: Any
) -> nn.Module:
    """The network of a folder of `save_pretrained`, or of a repository on the hub.

        network = wf.from_pretrained("birds")

    Args:
        name: a folder, or a repository such as "someone/birds".
        backbone: as in `wf.load`.
        revision: a branch, a tag or a commit of the repository.
        access: `token`, `cache_dir`, `local_files_only` and `force_download` of huggingface_hub.

    Returns:
        The network in eval mode, as `wf.load` returns it: with every weight, or not at all.

    Raises:
        ValueError: for what `wf.load` refuses, a repository that cannot be fetched, and without huggingface_hub.
    """
    if Path(name).is_dir() and not (Path(name) / WEIGHTS).is_file():
        raise ValueError(f"the folder '{shown(name)}' has no {WEIGHTS}; give one that wf.save_pretrained wrote")
    mixin = _mixin()
    try:
        found = mixin.from_pretrained(str(name), revision=revision, **access)
    except OSError as error:  # raised without a network, for a repository that is not there, and for a missing file
        raise ValueError(
            f"'{shown(name)}' is neither a folder nor a repository that can be fetched ({shown(error)}); give a folder "
            "of wf.save_pretrained, or a name such as someone/birds"
        ) from error
    return load(found.file, backbone)


def push_to_hub(network: nn.Module, name: str, *, private: bool | None = None, **options: Any) -> str:
    """Write a network to a repository on the hub; the repository is made if it is not there.

    Args:
        network: as in `wf.save`.
        name: of the repository, such as "someone/birds".
        private: whether a new repository is private.
        options: the facts of `wf.save`, and `token`, `branch`, `create_pr` and `commit_message` of huggingface_hub.

    Returns:
        The address of the commit.

    Raises:
        ValueError: for what `wf.save` refuses, and without huggingface_hub.
    """
    access = {key: options.pop(key) for key in ("token", "branch", "create_pr", "commit_message") if key in options}
    return str(_files(network, options).push_to_hub(name, private=private, **access))


def _files(network: nn.Module, facts: dict[str, Any]) -> Any:
    files = _mixin()()
    files.network, files.facts = network, facts
    return files


def _mixin() -> Any:
    """The class that huggingface_hub moves files for; it is an optional extra, so the class is made when it is used."""
    try:
        from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download
    except ImportError as error:
        raise ValueError(
            f"huggingface_hub is not installed ({error}): pip install 'wholeframe[hub]', or use wf.save and wf.load"
        ) from error

    class Files(ModelHubMixin):
        """The files of one network."""

        network: nn.Module
        facts: dict[str, Any]
        saved: Saved
        file: Path

        def _save_pretrained(self, save_directory: Path) -> None:
            self.saved = save(self.network, save_directory / WEIGHTS, **self.facts)
            config = json.dumps(json.loads(self.saved.header.text()), indent=2, sort_keys=True)
            (save_directory / CONFIG).write_text(config + "\n")

        def generate_model_card(self, *_args: Any, **_options: Any) -> ModelCard:
            count = sum(parameter.numel() for parameter in self.network.parameters())
            return ModelCard(card_text(self.saved.header, count))

        @classmethod
        def _from_pretrained(cls, *, model_id: str, **access: Any) -> "Files":
            files = cls()
            local = Path(model_id) / WEIGHTS
            files.file = local if local.is_file() else Path(hf_hub_download(model_id, WEIGHTS, **access))
            return files

    return Files
