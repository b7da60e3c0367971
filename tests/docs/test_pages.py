"""Pages are true: their Python runs and prints what they show, their links and names exist, their commands parse."""

import ast
import contextlib
import importlib
import io
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from wholeframe.blocks import BLOCKS
from wholeframe.cli import COMMANDS
from wholeframe.recipes import RECIPES

ROOT = Path(__file__).parents[2]
MARK = "# not run: "
FENCE = re.compile(r"^( *)```([\w{}-]*)\n(.*?)^\1```$", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
CODE = re.compile(r"`([\w.]+)`")


# ----------------------------------------------------------------------------------------------------- reading a page


@dataclass(frozen=True)
class Fence:
    """A fenced block; `gap` is the text between the fence before and this one."""

    language: str
    source: str
    line: int
    gap: str

    @property
    def not_run(self) -> str | None:
        """The reason why a block is not executed, from its first line."""
        first = self.source.partition("\n")[0]
        return first.partition(MARK)[2] if MARK in first else None


def pages(*patterns: str) -> list[str]:
    """Paths of Markdown pages, relative to the repository."""
    return sorted({str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)})


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def fences(page: str, language: str | None = None) -> list[Fence]:
    """The fenced blocks of a page, in order."""
    found, end, content = [], 0, text(page)
    for match in FENCE.finditer(content):
        line = content.count("\n", 0, match.start()) + 2
        found.append(Fence(match[2], textwrap.dedent(match[3]), line, content[end : match.start()]))
        end = match.end()
    return [fence for fence in found if language is None or fence.language == language]


def run(page: str) -> Iterator[tuple[int, str, str]]:
    """Execute the Python of a page from top to bottom, in one namespace.

    Yields (line, printed, expected) for every block that a `text` block follows with nothing between the two.
    """
    names: dict[str, object] = {"__name__": page}
    blocks = fences(page)
    for number, fence in enumerate(blocks):
        if fence.language != "python" or fence.not_run is not None:
            continue
        code = compile("\n" * (fence.line - 1) + fence.source, str(ROOT / page), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
        following = blocks[number + 1] if number + 1 < len(blocks) else None
        if following is not None and following.language == "text" and not following.gap.strip():
            yield fence.line, printed.getvalue(), following.source


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", text(page))


def links(page: str) -> list[tuple[str, str]]:
    """(text, target) of every link and picture of a page."""
    return LINK.findall(prose(page))


def target_of(page: str, link: str) -> tuple[Path, str]:
    """The file that a relative link leads to, and its anchor."""
    file, _, anchor = link.partition("#")
    start = ROOT / page
    return (start.parent / file).resolve() if file else start, anchor


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST form them."""
    headings = re.findall(r"^#{1,6} +(.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def defined(file: Path) -> set[str]:
    """The names that a Python file defines: functions, classes, their methods, assigned names."""
    names: set[str] = set()

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(prefix + node.name)
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names.update(prefix + target.id for target in targets if isinstance(target, ast.Name))

    visit(ast.parse(file.read_text(encoding="utf-8")).body, "")
    return names


# -------------------------------------------------------------------------------------------------------------- tests

PAGES = pages("*.md", "docs/**/*.md")
EXECUTED = [page for page in PAGES if fences(page, "python")]

NOT_EXECUTED = {
    "docs/house.md": "sketches that show a form, with weights that would be downloaded",
}
NOT_RUN = {
    ("docs/howto/deploy.md", "the first call compiles, which takes up to a minute"),
    ("docs/howto/deploy.md", "needs a run folder"),
    ("docs/howto/detector.md", "needs the extra export"),  # tests/tools runs these two
    ("docs/howto/detector.md", "needs transformers"),
    ("docs/howto/detector.md", "reads a folder of yours"),
    ("docs/howto/export.md", "needs the extra export"),  # tests/tools runs these four
    ("docs/howto/export.md", "reads a photograph"),
    ("docs/howto/export.md", "the package takes a minute to compile"),
    ("docs/howto/export.md", "needs the extra openvino"),
    ("docs/howto/quantize.md", "needs the extra export"),
    ("docs/howto/tools.md", "the shape of a check"),
    ("docs/howto/tools.md", "needs ultralytics"),  # tests/tools runs these two
    ("docs/howto/tools.md", "needs transformers"),
    ("docs/howto/train_detector.md", "trains on a folder of yours"),
    ("docs/training.md", "needs a run folder"),
}


LONG = {f"docs/howto/{name}.md" for name in ("export", "restore", "look_inside", "detector", "cost", "backbone")}
"""Pages of more than a second and a half"""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow) if page in LONG else page
        for page in EXECUTED
        if page not in NOT_EXECUTED
    ],
)
def test_python_runs_and_prints_what_the_page_shows(page, tmp_path, monkeypatch, request):
    if 'open_clips("actions")' in text(page):
        make_video = request.getfixturevalue("make_video")
        for name in ("sit/1.mp4", "sit/2.mp4", "sit/3.mp4", "walk/4.mp4", "walk/5.mp4", "walk/6.mp4"):
            make_video(tmp_path / "actions" / name, 30)
    monkeypatch.chdir(tmp_path)
    for line, printed, expected in run(page):
        assert printed == expected, f"{page}:{line}"


def test_what_is_not_run_is_listed_here():
    assert set(NOT_EXECUTED) <= set(PAGES)
    excluded = {(page, fence.not_run) for page in PAGES for fence in fences(page, "python") if fence.not_run}
    assert excluded == NOT_RUN


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for label, link in links(page):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        file, anchor = target_of(page, link)
        assert file.exists(), f"{page}: {link}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page}: {link}"
        name = CODE.fullmatch(label)
        if name and file.suffix == ".py" and name[1] != file.name:
            assert name[1] in defined(file), f"{page}: {file} does not define {name[1]}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_their_options_exist(page, capsys):
    for words in commands(page):
        name, *rest = words
        assert name in COMMANDS, f"{page}: wholeframe {name}"
        recipe = rest[:1] if name == "train" and rest and not rest[0].startswith("-") else []
        assert not recipe or recipe[0] in RECIPES, f"{page}: {recipe}"
        known = options_of(name, *recipe)
        for word in rest:
            assert not word.startswith("--") or word in known, f"{page}: wholeframe {name} has no {word}"
    capsys.readouterr()


def commands(page: str) -> list[list[str]]:
    """The words after `wholeframe` in each line of the page's shell blocks."""
    found = []
    for fence in fences(page, "sh"):
        for line in fence.source.splitlines():
            words = shlex.split(line, comments=True)
            if "wholeframe" in words and words[-1] != "wholeframe":
                found.append(words[words.index("wholeframe") + 1 :])
    return [words for words in found if words[0] not in ("--help", "--version")]


HELP: dict[tuple[str, ...], set[str]] = {}


def options_of(*command: str) -> set[str]:
    """The options that the help of a command names."""
    if command not in HELP:
        with contextlib.redirect_stdout(io.StringIO()) as printed, pytest.raises(SystemExit):
            importlib.import_module(f"wholeframe.commands.{command[0]}").main([*command[1:], "--help"])
        HELP[command] = {*re.findall(r"--[\w-]+", printed.getvalue()), "--help"}
    return HELP[command]


# ------------------------------------------------------------------------------------------------- an engineer's walk


MAP = "docs/contributing/map.md"
WALKS = [line.split("|")[1:3] for line in text(MAP).splitlines() if "README →" in line and line.startswith("|")]


def test_there_are_ten_questions():
    assert len(WALKS) >= 10


@pytest.mark.parametrize(("question", "path"), WALKS, ids=[question.strip() for question, _ in WALKS])
def test_a_question_leads_to_the_line(question, path):
    """Every hop is a link on the page before it, and the last file defines the name."""
    here = "README.md"
    hops = LINK.findall(path)
    assert 1 <= len(hops) <= 3
    for _, link in hops:
        file, _ = target_of(MAP, link)
        reached = {target_of(here, target)[0] for _, target in links(here)}
        assert file in reached, f"{here} has no link to {file}"
        here = str(file.relative_to(ROOT))
    name = CODE.fullmatch(hops[-1][0])
    assert name and file.suffix == ".py", "a path ends at a name in a Python file"
    assert name[1] == file.name or name[1] in defined(file)


def test_the_table_of_the_readme_has_every_block():
    rows = re.findall(r"^\| (\w+) \| [\d,]+ \| [\d,]+ \|", text("README.md"), flags=re.MULTILINE)
    assert rows == ["none", *BLOCKS]
