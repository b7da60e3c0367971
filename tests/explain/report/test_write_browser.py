"""The report in a browser: nothing is fetched or refused, and a phone shows it without a horizontal bar."""

import shutil

import pytest
from PIL import Image

from wholeframe.explain.report import Arm, Content, Group, Picture, html_report

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (uv sync --group test)")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("needs Chromium (apt-get install chromium)", allow_module_level=True)

pytestmark = pytest.mark.slow

HOSTILE = '"><script>document.title=1</script>' + "long" * 40


@pytest.fixture
def file(tmp_path):
    Image.new("RGB", (900, 300), "red").save(tmp_path / "a.png")
    costs = {"parameters": 1000, "multiply-adds": 12_000_000}
    arms = [Arm(n, HOSTILE, "recall", 0.5 + n / 100, costs, [0.7, 0.5 / n], 300, [0.4, 0.5]) for n in (1, 2)]
    columns = ("block", *(f"figure {n}" for n in range(9)))
    rows = [(HOSTILE, *["12,345,678"] * 9)] * 2
    group = Group(HOSTILE, [HOSTILE], columns, rows, arms, {"recall": "accuracy"})
    content = Content(
        HOSTILE, 1, 2, [HOSTILE], [group], [Picture(HOSTILE, tmp_path / "a.png", HOSTILE)], ["se"], HOSTILE, {}
    )
    (tmp_path / "report.html").write_text(html_report(content))
    return tmp_path / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_opens_from_disk(file, width, scheme):
    faults = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, is_mobile=width < 600
        ).new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or faults.append(request.url))
        page.goto(file.as_uri())
        assert page.title() == HOSTILE and not faults
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 29)"}[scheme]
        browser.close()
