"""The README's Python runs, its commands exist, its pictures are there."""

import re
from pathlib import Path

import pytest

from wholeframe.blocks import BLOCKS
from wholeframe.cli import COMMANDS
from wholeframe.recipes import RECIPES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def test_python_runs_from_top_to_bottom(capsys):
    names: dict[str, object] = {}
    for source in fences("python"):
        if "# readme: not run" not in source:
            exec(source, names)
    assert capsys.readouterr().out.strip() == fences("text")[0].strip()


def test_commands_exist():
    lines = [line for fence in fences("sh") for line in fence.splitlines() if "wholeframe" in line]
    assert len(lines) >= 6
    for line in lines:
        words = line.split()
        command, *rest = words[words.index("wholeframe") + 1 :]
        assert command in COMMANDS
        if command == "train":
            assert rest[0] in RECIPES


def test_pictures_exist():
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file()


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/house.md"])
def test_links_lead_somewhere(file):
    text = (ROOT / file).read_text()
    for link in re.findall(r"(?<!!)\[[^\]]+\]\(([^)#]+)\)", text):
        assert link.startswith("http") or ((ROOT / file).parent / link).exists(), link


def test_table_has_every_block():
    blocks = re.findall(r"^\| (\w+) \| [\d,]+ \| [\d,]+ \|", README, flags=re.MULTILINE)
    assert blocks == ["none", *BLOCKS]
