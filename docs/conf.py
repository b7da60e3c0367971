"""The site: `uv run --extra docs sphinx-build -W -b html docs build/docs`.

Pages are Markdown (myst-parser), the theme is furo, API pages come from docstrings (autodoc). Sphinx is
maintained, checks every reference, builds without a network, and comes with a converter from LaTeX to MathML. So the
pages load nothing from a network either; the extension `offline` checks this.
"""

import sys
from importlib.metadata import version as installed
from pathlib import Path

import matplotlib

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "wholeframe"
version = release = installed("wholeframe")
html_title = f"wholeframe {version}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "mathml", "markdown_docstrings", "offline"]
exclude_patterns = ["_ext"]
nitpicky = True
# Annotations name classes of torch, jaxtyping and lightning, whose pages are elsewhere and are not fetched.
nitpick_ignore_regex = [("py:class", ".*"), ("py:obj", r"typing\..*")]

myst_enable_extensions = ["deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_math_renderer = "mathml"
# matplotlib, which this package needs anyway, brings a font with a table for mathematics: for systems that have none.
html_static_path = ["_static", str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSerif.ttf"))]
html_css_files = ["wholeframe.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
