"""The built pages load nothing from a network: the build fails if one of them would."""

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

LOADS = {
    ".html": re.compile(
        r"""<(?:script|link|img|iframe|source|object)\b[^>]*\b(?:src|href|data)=["'](?:https?:)?//[^>]*>"""
    ),
    ".css": re.compile(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^)"';]*"""),
}


def check(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    for file in sorted(Path(app.outdir).rglob("*")):
        pattern = LOADS.get(file.suffix)
        found = pattern.search(file.read_text(encoding="utf-8")) if pattern else None
        if found:
            raise ExtensionError(f"{file.relative_to(app.outdir)} would load {found[0]!r} from a network")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
