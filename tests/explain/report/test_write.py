"""The HTML of a report: nothing in it runs or is fetched, every name is escaped, and it reads without pictures."""

import dataclasses
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from wholeframe.explain.report import Arm, Content, Group, Picture, html_report

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}'
VOID = {"meta", "link", "img"}


class Read(HTMLParser):
    """The elements of a page, and whether every one that opens is closed."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.texts = [], [], []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def arm(number, name, losses=50, scores=1):
    score = 0.5 + number / 100
    return Arm(
        number,
        name,
        "recall",
        score,
        {"parameters": 1000 * number, "inference, ms": 0.5},
        losses=[1 / (k + number) for k in range(losses)],
        steps=300,
        scores=[score] * scores,
    )


def content(tmp_path, names=("none", "nl"), **changed):
    pictures = []
    for n, name in enumerate(names[1:]):
        file = tmp_path / f"{n}.png"
        Image.fromarray(np.full((20, 40, 3), 99, dtype=np.uint8)).save(file)
        pictures.append(Picture(name, file, f"Maps of {name}"))
    group = Group(
        title=names[-1],
        said=["A sentence.", names[-1]],
        columns=("block", "accuracy"),
        rows=[(name, "0.5") for name in names],
        arms=[arm(n, name) for n, name in enumerate(names, 1)],
        scores={"recall": "accuracy"},
    )
    given = Content(
        title="Comparison",
        done=2,
        planned=2,
        short=["short"],
        groups=[group],
        pictures=pictures,
        without=["se"],
        command="wholeframe compare",
        facts={"seeds": "0"},
    )
    return dataclasses.replace(given, **changed)


def test_nothing_runs_and_nothing_is_fetched(tmp_path):
    html = html_report(content(tmp_path))
    page = Read(html)
    (policy,) = (each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert not page.all("script") and "://" not in html.replace("http://www.w3.org", "")
    assert all(each["src"].startswith("data:image/jpeg") for each in page.all("img")) and page.all("img")
    assert not [name for _, attributes in page.found for name in attributes if name.startswith("on") or name == "style"]
    assert any(each.get("name") == "viewport" for each in page.all("meta"))


def test_names_from_outside_are_text(tmp_path):
    given = content(
        tmp_path,
        ("none", HOSTILE),
        title=HOSTILE,
        short=[HOSTILE],
        without=[HOSTILE],
        command=HOSTILE,
        facts={HOSTILE: HOSTILE},
    )
    html = html_report(given)
    page = Read(html)
    assert not page.all("script") and {each["src"][:5] for each in page.all("img")} == {"data:"}
    assert HOSTILE in "".join(page.texts) and "49" not in re.findall(r"\b49\b", "".join(page.texts))
    for tag, attributes in page.found:
        assert not [name for name in attributes if name.startswith("on")], tag


def test_it_reads_without_sight(tmp_path):
    page = Read(html_report(content(tmp_path)))
    assert page.found[0] == ("html", {"lang": "en"})
    assert [each["alt"] for each in page.all("img")] == ["Maps of nl"]
    charts = [each for each in page.all("svg") if "role" in each]
    assert len(charts) == 3 and all(each["role"] == "img" and len(each["aria-label"]) > 20 for each in charts)
    assert all(each.get("aria-hidden") == "true" for each in page.all("svg") if "role" not in each)
    assert all(each["scope"] in ("col", "row") for each in page.all("th"))
    headings = [int(tag[1]) for tag, _ in page.found if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    text = " ".join(page.texts)
    assert (
        "Pareto front of accuracy against parameters, from the lowest cost: none (1 k, 0.510), nl (2 k, 0.520)" in text
    )


def test_how_much_is_done(tmp_path):
    early = " ".join(Read(html_report(content(tmp_path, done=7, planned=12))).texts)
    assert "7 of 12 trainings are done." in early and "These figures are early" in early
    late = " ".join(Read(html_report(content(tmp_path))).texts)
    assert "2 of 2 trainings are done." in late and "figures are early" not in late


@pytest.mark.parametrize("epochs", [1, 12])
def test_the_score_over_epochs_is_drawn_if_there_are_several(tmp_path, epochs):
    given = content(tmp_path)
    arms = [arm(1, "none", scores=epochs)]
    html = html_report(dataclasses.replace(given, groups=[dataclasses.replace(given.groups[0], arms=arms)]))
    assert ("validation accuracy" in html) == (epochs > 1)


def test_before_the_first_training_ends(tmp_path):
    given = content(tmp_path, done=0, pictures=[], without=[])
    rows = dataclasses.replace(given.groups[0], arms=[], rows=[("none", ""), ("nl", "")])
    page = Read(html_report(dataclasses.replace(given, groups=[rows])))
    assert not page.all("svg") and len(page.all("table")) == 1


@pytest.mark.slow
def test_twenty_arms_are_less_than_three_megabytes(tmp_path):
    names = [f"arm {n}" for n in range(21)]
    given = content(tmp_path, names)
    pixels = np.random.default_rng(0).integers(0, 256, (600, 1900, 3), dtype=np.uint8)
    for picture in given.pictures:
        Image.fromarray(pixels).save(picture.file)
    assert len(html_report(given)) < 3_000_000
