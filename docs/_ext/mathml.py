"""Mathematics as MathML, converted while the site is built, so that its pages need no script, font or network."""

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator


def inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(converted(node, as_block=False))
    raise nodes.SkipNode


def block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{converted(node, as_block=True)}</div>')
    raise nodes.SkipNode


def converted(node: nodes.Element, *, as_block: bool) -> str:
    """The formula as one `<math>` element.

    Raises:
        ExtensionError: for LaTeX that docutils does not support, so that the build fails and no formula is shown raw.
    """
    source = node.astext()
    try:
        return tex2mathml(source, as_block=as_block)
    except MathError as error:
        raise ExtensionError(f"{node.source}:{node.line}: the formula {source!r} is not supported: {error}") from error


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
