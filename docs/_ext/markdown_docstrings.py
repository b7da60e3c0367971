"""Docstrings in the form of this package: Markdown, with the sections `Args:`, `Returns:` and `Raises:`.

autodoc reads reStructuredText. This extension wraps every docstring in a directive that renders Markdown, so that
backticks, indented equations and tables look in a page as they look in an editor.
"""

from collections.abc import Iterator

from docutils import nodes
from docutils.utils import new_document
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SECTIONS = {"Args:": "Arguments", "Returns:": "Returns", "Raises:": "Raises"}


def wrapped(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Turn the lines of a docstring, in place, into one `markdown` directive."""
    if any(lines):
        lines[:] = [".. markdown::", "", *(f"   {line}" for line in lines), ""]


def sections(lines: list[str]) -> Iterator[str]:
    """The docstring with each section as a Markdown field list. An argument or an error is one item of a list."""
    section = None
    for line in lines:
        if line in SECTIONS:
            section = line
            yield f":{SECTIONS[line]}:"
        elif section is None or (line and not line.startswith(" ")):
            section = None
            yield line
        elif section == "Returns:" or line.startswith("        ") or not line:
            yield line
        else:
            name, colon, text = line.strip().partition(": ")
            names = ", ".join(f"`{part.strip('`* ')}`" for part in name.split(","))
            yield f"    - {names}: {text}" if colon else f"    - {line.strip()}"


class Markdown(SphinxDirective):
    """A piece of Markdown within a page of reStructuredText."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        document = new_document(self.get_source_info()[0], self.state.document.settings)
        MystParser().parse("\n".join(sections(list(self.content))), document)
        return list(document.children)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("markdown", Markdown)
    app.connect("autodoc-process-docstring", wrapped)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
