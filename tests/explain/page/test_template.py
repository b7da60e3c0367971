"""A rendered template: its values are escaped, and its policy names the style and the scripts that are in it."""

import base64
import hashlib
import re

import jinja2
import pytest

from wholeframe.explain.page.template import rendered

VALUES = {"model": "a & b", "kind": "", "accept": "", "largest": 1, "first": ""}


def page(**values):
    return rendered("drop.html", "drop.css", ("numbers.js", "drop.js"), "img-src data:", **(VALUES | values))


def test_the_policy_names_what_is_inside():
    html = page()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:; ")


def test_values_are_escaped():
    assert "a &amp; b" in page() and "a & b" not in page()
    assert "<script>alert" not in page(model="<script>alert(1)</script>")


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        rendered("drop.html", "drop.css", ("drop.js",), "img-src data:", model="a")
