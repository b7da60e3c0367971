"""A template of a package with its style and its scripts inside, and a policy that lets no other script run."""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources

import jinja2

BASE = "wholeframe.explain.page"
"""the package with `base.html`, the head that all pages have"""


def rendered(
    template: str,
    style: str,
    scripts: Sequence[str],
    allowed: str,
    folder: str = BASE,
    **values: object,
) -> str:
    """The HTML of a template; all values are escaped, and the style, the scripts and the policy are as they are.

    Args:
        template: the name of its file.
        style: the name of the file of its style.
        scripts: the names of the files of its scripts, joined in this order.
        allowed: what the page may load besides this style and these scripts, as directives of a content security
            policy.
        folder: the package that has these files.
        values: of the template.
    """
    css, code = _text(folder, style), "\n".join(_text(folder, name) for name in scripts)
    policy = (
        f"default-src 'none'; {allowed}; style-src {_hash(css)}; script-src {_hash(code)}; base-uri 'none'; "
        "form-action 'none'"
    )
    loader = jinja2.ChoiceLoader([jinja2.PackageLoader(package, "") for package in (folder, BASE)])
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, loader=loader)
    return environment.get_template(template).render(values, style=css, script=code, policy=policy)


def _text(folder: str, name: str) -> str:
    return resources.files(folder).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The name of an inline style or script in a policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
