"""What a training ran on: versions, device, precision, and the commit of the code."""

import os
import platform
from importlib import metadata
from pathlib import Path

import torch
import torchvision

import wholeframe

PACKAGES = ("wholeframe", "torch", "torchvision", "lightning", "timm", "av")
"""The packages that decide the outcome of a training."""


def environment(precision: str | None = None) -> dict[str, str]:
    """Versions of the installed libraries, the device, the precision, and the commits of the code.

    Args:
        precision: of the recipe; None leaves it out.

    Returns:
        Names and values. `float32_matmul` is torch's precision of products in float32: "high" and "medium" allow TF32.
        `commit` is that of the folder that the command ran in, `wholeframe_commit` that of this package; each is there
        only in a git repository.
    """
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {os.cpu_count()} cores"
    found = {package: version for package in PACKAGES if (version := _version(package))}
    commits = {"commit": _commit(Path.cwd()), "wholeframe_commit": _commit(_source())}
    return {
        "python": platform.python_version(),
        "device": device,
        **found,
        **({} if precision is None else {"precision": precision}),
        "float32_matmul": torch.get_float32_matmul_precision(),
        **{name: commit for name, commit in commits.items() if commit},
    }


def _version(package: str) -> str | None:
    own = {"wholeframe": wholeframe, "torch": torch, "torchvision": torchvision}
    if package in own:
        return str(own[package].__version__)  # with the build, such as 2.15.0+cu132
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _source() -> Path | None:
    """The root of the package's repository; None if it is installed from elsewhere."""
    root = Path(wholeframe.__file__).resolve().parents[1]
    return root if (root / ".git").exists() else None


def _commit(folder: Path | None) -> str | None:
    """The commit that a folder has checked out; None outside of a repository. Read from its files, without git."""
    folders = [] if folder is None else [folder, *folder.parents]
    root = next((parent for parent in folders if (parent / ".git").exists()), None)
    if root is None:
        return None
    try:
        return _head(root / ".git")
    except (OSError, ValueError):  # a repository of another format
        return None


def _head(git: Path) -> str | None:
    if git.is_file():  # a worktree, or a submodule
        git = (git.parent / git.read_text().removeprefix("gitdir:").strip()).resolve()
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref:"):
        return head
    ref = head.removeprefix("ref:").strip()
    link = git / "commondir"
    shared = (git / link.read_text().strip()).resolve() if link.is_file() else git
    if (shared / ref).is_file():
        return (shared / ref).read_text().strip()
    packed = (shared / "packed-refs").read_text().splitlines()
    return next((line.split()[0] for line in packed if line.endswith(f" {ref}")), None)
