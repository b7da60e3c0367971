"""The page in a browser: what a click, a tap and a key show, compared with the tensors; and that nothing is fetched.

Playwright drives a Chromium that is installed. Without one of them these tests are skipped, and say what to install.
"""

import json
import shutil
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rounding import bound
from torch import nn

from wholeframe.blocks import CBAM, CGNL, GlobalContext, GSoPChannel, NonLocal
from wholeframe.explain.frame import Frame
from wholeframe.explain.page import layers, write_page
from wholeframe.explain.page.server import PageServer
from wholeframe.explain.recording import Recording
from wholeframe.surgery.insert import insert

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (uv sync --group test)")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("needs Chromium (apt-get install chromium)", allow_module_level=True)

pytestmark = pytest.mark.slow

HOSTILE = '"><script>document.title=1</script>.jpg'
DESK = {"viewport": {"width": 1280, "height": 900}}
PHONE = {
    "viewport": {"width": 390, "height": 800},
    "device_scale_factor": 3,
    "is_mobile": True,
    "has_touch": True,
}


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """`opened(address, **context)`: a page that is ready, where any request, any error and any message is a fault."""
    contexts, faults = [], []

    def opened(address, **options):
        context = browser.new_context(**(options or DESK))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("request", lambda request: faults.append(request.url) if _foreign(request.url, address) else None)
        page.goto(address)
        page.wait_for_selector("html[data-ready=true]", timeout=30000)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults


def _foreign(url, address):
    return not url.startswith("data:") and url != address


SIDE, STRIDE = 64, 8
MARK, TWIN = (1, 6), (5, 2)  # two cells of one colour


class Planted(nn.Sequential):
    """Mean colours of 8 x 8 pixels; a block compares them, so that a marker looks at itself and at its twin."""

    def __init__(self, rank):
        super().__init__(nn.AvgPool2d(STRIDE) if rank == 2 else nn.AvgPool3d((2, STRIDE, STRIDE)))


def planted(rank=2):
    """A recording of two markers of one colour on a noisy picture, and the picture."""
    draw = np.random.default_rng(0)
    shape = (SIDE, SIDE, 3) if rank == 2 else (8, SIDE, SIDE, 3)
    picture = draw.integers(100, 140, shape, dtype=np.uint8)
    for y, x in (MARK, TWIN):
        at = slice(y * STRIDE, (y + 1) * STRIDE), slice(x * STRIDE, (x + 1) * STRIDE)
        if rank == 2:
            picture[at] = (255, 0, 0)
        else:  # The twin is in the last frames, the marker in the first.
            picture[(slice(0, 2) if (y, x) == MARK else slice(6, 8), *at)] = (255, 0, 0)
    x = torch.from_numpy(picture).movedim(-1, 0)[None].float() / 127.5 - 1
    network = Planted(rank)
    insert(network, partial(NonLocal, kind="gaussian"), at="0", example=x)
    return Recording(network.eval(), x), picture


@pytest.fixture(scope="module")
def photo_page(tmp_path_factory):
    recording, picture = planted()
    file = tmp_path_factory.mktemp("page") / "photo.html"
    write_page(file, recording, picture, name=HOSTILE, model="planted", notes=["random weights"])
    return file.as_uri(), recording


@pytest.fixture(scope="module")
def clip_page(tmp_path_factory):
    recording, picture = planted(rank=3)
    file = tmp_path_factory.mktemp("page") / "clip.html"
    write_page(file, recording, picture, name="clip.mp4", model="planted")
    return file.as_uri(), recording


def click(page, canvas, y, x, tap=False):
    """Click at a position of the picture, in pixels of the picture, on a canvas that shows it once."""
    box = page.locator(canvas).bounding_box()
    where = {"x": (x + 0.5) * box["width"] / SIDE, "y": (y + 0.5) * box["height"] / SIDE}
    target = page.locator(canvas)
    target.tap(position=where) if tap else target.click(position=where)


def until(page, condition):
    """Wait for a condition of the script. (Playwright waits by `eval`, which the policy of the page refuses.)"""
    end = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def centre(cell):
    return [side * STRIDE + STRIDE // 2 for side in cell]


def weight_read(page):
    return float(page.get_attribute("#reading", "data-weight"))


def close_to(recording, record, cell):
    """The weight of a cell, within the error that the page states."""
    (layer, *_), _ = layers.layers_of(recording, (1.0,) * len(record.grid))
    rounding = bound(3 + record.weights.numel(), 1.0, torch.float32)
    return pytest.approx(record.weights[cell].item(), abs=layer.rows.error + rounding)


def test_a_click_on_a_marker_finds_its_twin(opened, photo_page, tmp_path):
    address, recording = photo_page
    page = opened(address)
    click(page, "#stage", *centre(MARK))
    (record,) = recording.attention(tuple(centre(MARK)))
    assert record.cell == MARK
    assert page.inner_text("#query") == f"pixel y {centre(MARK)[0]}, x {centre(MARK)[1]}; cell {MARK} of 8 x 8"
    assert weight_read(page) == close_to(recording, record, MARK)
    found = page.locator("#largest li").all_inner_texts()[:2]
    assert {f"cell {cell} of 8 x 8" in line for cell in (MARK, TWIN) for line in found} == {True, False}
    assert sorted(cell for cell in (MARK, TWIN) for line in found if f"cell {cell} of" in line) == [MARK, TWIN]
    page.locator("#stage").hover(position={"x": 1, "y": 1})
    assert weight_read(page) == close_to(recording, record, (0, 0))
    page.screenshot(path=tmp_path / "desk.png", full_page=True)


def test_every_weight_is_that_of_the_tensor(opened, photo_page):
    """The whole matrix, as the script of the page unpacks it."""
    address, recording = photo_page
    page = opened(address)
    script = "Array.from({length: 64}, (_, row) => Array.from(rowOf(matrices.get(0).rows, row)))"
    shown = torch.tensor(page.evaluate(script), dtype=torch.float64)
    cells = [(y, x) for y in range(8) for x in range(8)]
    exact = recording.rows("0", cells).flatten(1).double()
    (layer,), _ = layers.layers_of(recording, (1.0, 1.0))
    assert (shown - exact).abs().max().item() == pytest.approx(layer.rows.error, rel=1e-9)
    assert f"at most {layer.rows.error:.2g}" in page.inner_text("#says")


def test_the_map_is_drawn_where_the_weights_are(opened, photo_page, tmp_path):
    """The twin of the marker is bright on the canvas, and its neighbour is not."""
    page = opened(photo_page[0])
    page.evaluate("part.top.value = 0")
    click(page, "#stage", *centre(MARK))
    page.mouse.move(0, 0)
    page.locator("#stage").screenshot(path=tmp_path / "stage.png")
    with Image.open(tmp_path / "stage.png") as image:
        twin, neighbour = (
            image.convert("RGB").getpixel((x * image.width // SIDE, y * image.height // SIDE))
            for y, x in (centre(TWIN), centre((TWIN[0], TWIN[1] + 2)))
        )
    assert twin[0] > 200 and twin[1] > 180 and twin[2] < 120, "yellow: the largest weight"
    assert max(neighbour) - min(neighbour) < 40, "grey: the picture"


def test_the_keyboard(opened, photo_page):
    address, recording = photo_page
    page = opened(address)
    assert "cell (4, 4) of" in page.inner_text("#query")
    for key, cell in [("ArrowUp", (3, 4)), ("ArrowLeft", (3, 3)), ("ArrowDown", (4, 3)), ("ArrowRight", (4, 4))]:
        page.keyboard.press(key)
        assert f"cell {cell} of" in page.inner_text("#query")
    page.keyboard.press("Shift+ArrowRight")
    (record,) = recording.attention((36, 36))
    assert "cell (4, 4) of" in page.inner_text("#query") and "cell (4, 5) of" in page.inner_text("#reading")
    assert weight_read(page) == close_to(recording, record, (4, 5))
    page.keyboard.press("Escape")
    assert "cell (4, 4) of" in page.inner_text("#reading")
    before = page.input_value("#top")
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("-")
    assert int(page.input_value("#top")) == int(before) + 1
    for _ in range(10):
        page.keyboard.press("ArrowUp")
    assert "cell (0, 4) of" in page.inner_text("#query")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "previous"
    page.focus("#top")
    page.keyboard.press("ArrowRight")
    assert "cell (0, 4) of" in page.inner_text("#query"), "an arrow key on a slider moves the slider"


def test_the_threshold_hides_weights_and_arrows(opened, photo_page):
    page = opened(photo_page[0])
    click(page, "#stage", *centre(MARK))
    page.mouse.move(0, 0)
    assert page.locator("#largest li").count() == 5
    page.evaluate("part.threshold.value = 90; part.threshold.dispatchEvent(new Event('input'))")
    assert page.locator("#largest li").count() == 2
    assert "below 90 % of" in page.inner_text("#threshold-row")


def test_a_flat_map_says_how_to_see_its_differences(opened, photo_page):
    """A query on the noise weighs all cells nearly alike; one on the marker does not."""
    page = opened(photo_page[0])
    assert "hide those below 95 % to see" in page.inner_text("#flat")
    page.evaluate("part.threshold.value = 95; part.threshold.dispatchEvent(new Event('input'))")
    assert not page.locator("#flat").is_visible()
    page.evaluate("part.threshold.value = 0")
    click(page, "#stage", *centre(MARK))
    assert not page.locator("#flat").is_visible()


def test_names_are_no_markup(opened, photo_page):
    page = opened(photo_page[0])
    assert HOSTILE in page.inner_text("header") and HOSTILE in page.title()
    assert page.locator("script").count() == 2


def test_an_injected_script_does_not_run(opened, photo_page, browser):
    """The policy of the page: neither a script that is added nor a request to anywhere."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(photo_page[0])
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.bad = 1'}))"
    )
    assert page.evaluate("window.bad") is None
    assert page.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"
    context.close()
    assert said and all("Content Security Policy" in text for text in said)


@pytest.mark.parametrize("fixture", ["photo_page", "clip_page", "kinds_page"])
def test_a_phone(opened, request, fixture, tmp_path):
    """A tap moves the query, nothing is wider than the screen, and a finger can hit every control."""
    address, _ = request.getfixturevalue(fixture)
    page = opened(address, **PHONE)
    for _ in range(page.locator("#block option").count()):
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]
        page.locator("#next").tap()
    for control in ("#next", "#block", "#threshold", "#top"):
        if page.locator(control).is_visible():
            assert page.locator(control).bounding_box()["height"] >= 28
    click(page, "#stage", *centre(MARK), tap=True)
    if fixture != "kinds_page":
        assert f"y {centre(MARK)[0]}, x {centre(MARK)[1]}" in page.inner_text("#query")
        page.locator("input[value=read]").tap()
        click(page, "#stage", *centre(TWIN), tap=True)
        assert f"y {centre(MARK)[0]}, x {centre(MARK)[1]}" in page.inner_text("#query")
        assert f"{TWIN[0]}, {TWIN[1]}) of" in page.inner_text("#reading")
    page.screenshot(path=tmp_path / "phone.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(opened, photo_page, scheme):
    page = opened(photo_page[0], color_scheme=scheme, **DESK)
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    light = sum(int(part) for part in ground.strip("rgb()").split(",")) > sum(
        int(part) for part in ink.strip("rgb()").split(",")
    )
    assert light == (scheme == "light")


def test_a_clip_is_followed_across_frames(opened, clip_page, tmp_path):
    """The marker of the first frames looks at its twin in the last; a click on the strip moves the query there."""
    address, recording = clip_page
    page = opened(address)
    for _ in range(4):
        page.keyboard.press(",")
    assert page.inner_text("#query").startswith("frame 1, ")
    click(page, "#stage", *centre(MARK))
    (record,) = recording.attention((1, *centre(MARK)))
    assert record.cell == (0, *MARK)
    assert weight_read(page) == close_to(recording, record, (0, *MARK))
    found = page.locator("#largest li").all_inner_texts()[:2]
    assert {line.split(" of ")[0].split("cell ")[1] for line in found} == {str((0, *MARK)), str((3, *TWIN))}
    places = page.evaluate("places.strip")
    assert len(places) == 4
    last = places[3]
    y, x = centre(TWIN)
    at = {"x": last["x"] + x * last["width"] / SIDE, "y": last["y"] + y * last["height"] / SIDE}
    page.locator("#strip").click(position=at)
    assert f"cell {(3, *TWIN)} of 4 x 8 x 8" in page.inner_text("#query")
    page.keyboard.press(",")
    assert f"cell {(2, *TWIN)} of 4 x 8 x 8" in page.inner_text("#query")
    page.screenshot(path=tmp_path / "clip.png", full_page=True)


@pytest.fixture(scope="module")
def kinds_page(tmp_path_factory):
    """A network with blocks that need no query, with signed maps, and with gates."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 32, 8, 8), *(nn.Conv2d(32, 32, 1) for _ in range(4)))
    blocks = {"0": GlobalContext, "1": GSoPChannel, "2": partial(CGNL, init="random"), "3": CBAM}
    x = torch.randn(1, 3, SIDE, SIDE)
    for site, block in blocks.items():
        insert(network, block, at=site, example=x)
    recording = Recording(network.eval(), x)
    file = tmp_path_factory.mktemp("page") / "kinds.html"
    write_page(file, recording, np.full((SIDE, SIDE, 3), 128, np.uint8), name="kinds", model="kinds")
    return file.as_uri(), recording


def test_blocks_of_every_kind(opened, kinds_page):
    address, recording = kinds_page
    page = opened(address)
    records = recording.look()[0]
    names = page.locator("#block option").all_inner_texts()
    assert names == [f"{each.site}: {each.block} ({each.kind})" for each in records]
    for index, record in enumerate(records):
        page.select_option("#block", str(index))
        until(page, f"chosen.layer === {index} && matrices.has({index})")
        page.keyboard.press("Escape")
        gates = record.kind == "channel"
        assert page.locator("#gates").is_visible() == gates and page.locator("#legend").is_visible() != gates
        assert page.locator("#matrix").is_visible() == (record.covariance is not None)
        assert page.inner_text("#query").startswith("pixel" if record.kind == "pairwise" else "none")
        if record.rule:
            assert record.rule[1:] in page.inner_text("#says")
        if gates:
            page.focus("#bars")
            for _ in range(2):
                page.keyboard.press("ArrowRight")
            assert "channel 2 of 32" in page.inner_text("#reading")
            assert weight_read(page) == pytest.approx(record.weights[2].item(), abs=0.01)
    page.select_option("#block", "1")
    until(page, "chosen.layer === 1 && !part.matrix.hidden")
    page.locator("#covariance").hover(position={"x": 1, "y": 1})
    assert page.inner_text("#matrix-said").endswith("of channels 0 and 0")


@pytest.fixture(scope="module")
def regions_page(tmp_path_factory):
    """Two regions of the picture, each seen by itself, with a gap between them."""
    recording, picture = planted()
    (run,) = recording.runs
    frames = Frame(((0, 64), (0, 24))), Frame(((0, 64), (40, 64)))
    seen = run.seen._replace(x=torch.cat([run.seen.x, -run.seen.x]), frames=frames, regions=True)
    recording.runs = [replace(run, seen=seen)]
    file = tmp_path_factory.mktemp("page") / "regions.html"
    write_page(file, recording, picture, name="regions", model="planted")
    return file.as_uri(), recording


def test_regions_are_seen_one_by_one(opened, regions_page):
    address, recording = regions_page
    page = opened(address)
    for x in (10, 50):
        click(page, "#stage", 12, x)
        (record,) = recording.attention((12, x))
        assert f"cell {record.cell} of 8 x 8" in page.inner_text("#query")
        assert weight_read(page) == pytest.approx(record.weights[record.cell].item(), abs=1e-3)
    click(page, "#stage", 12, 32)
    assert page.inner_text("#query") == "pixel y 12, x 32; outside the regions that this block sees"
    assert page.inner_text("#reading") == "" and page.locator("#largest li").count() == 0
    for _ in range(3):  # One cell of 3 pixels each, into the second region.
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#query").endswith("x 41; cell (1, 0) of 8 x 8")


def test_frames_are_seen_one_by_one(opened, tmp_path):
    """A network for images on the frames of a clip: the map is that of the frame of the query."""

    class Frames(Planted):
        def forward(self, clip):
            return super().forward(clip[0].transpose(0, 1))

    x = torch.randn(1, 3, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    network = Frames(2)
    insert(network, partial(NonLocal, kind="gaussian"), at="0", example=x)
    recording = Recording(network.eval(), x)
    picture = np.full((4, SIDE, SIDE, 3), 128, np.uint8)
    write_page(tmp_path / "a.html", recording, picture, name="frames", model="frames")
    page = opened((tmp_path / "a.html").as_uri())
    for frame, key in ((2, None), (3, "."), (2, ","), (1, ",")):
        if key:
            page.keyboard.press(key)
        (record,) = recording.attention((frame, 36, 36))
        assert page.inner_text("#query").startswith(f"frame {frame}, ")
        assert weight_read(page) == pytest.approx(record.weights[0, 4, 4].item(), abs=1e-3)
        assert page.locator("#largest li").count() == 5


def test_brackets_go_round_the_blocks(opened, kinds_page):
    page = opened(kinds_page[0])
    count = page.locator("#block option").count()
    page.keyboard.press("[")
    until(page, f"part.block.value === '{count - 1}'")
    page.keyboard.press("]")
    until(page, "part.block.value === '0'")


def test_an_old_browser_gets_a_sentence(browser, photo_page):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(photo_page[0])
    page.wait_for_selector("#wrong:not([hidden])")
    assert "too old to unpack the weights" in page.inner_text("#wrong")
    context.close()


def test_a_picture_is_dropped_on_the_server(browser, tmp_path):
    """Choose a file, see its page in the frame; then a bad one, and a sentence."""
    recording, picture = planted()

    def answer(file, name):
        if file.read_bytes() == b"bad":
            raise ValueError(f"'{file}' is not an image that can be decoded")
        write_page(tmp_path / "page.html", recording, picture, name=name, model="planted")
        return (tmp_path / "page.html").read_text("utf-8")

    (tmp_path / "good.jpg").write_bytes(b"good")
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    with PageServer(answer, model="planted", kind="a photograph", accept="image/*") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        context = browser.new_context(**DESK)
        page = context.new_page()
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.address)
        page.set_input_files("#file", tmp_path / "good.jpg")
        frame = page.frame_locator("#page")
        frame.locator("html[data-ready=true]").wait_for(timeout=30000)
        assert "good.jpg" in frame.locator("header").inner_text()
        frame.locator("#stage").press("ArrowUp")
        assert "cell (3, 4) of" in frame.locator("#query").inner_text()
        assert page.get_attribute("#save", "download") == "good.jpg.html"
        page.set_input_files("#file", tmp_path / "bad.jpg")
        until(page, "document.getElementById('said').textContent.includes('decoded')")
        assert page.inner_text("#said") == "'bad.jpg' is not an image that can be decoded"
        script = "([name]) => { const data = new DataTransfer(); data.items.add(new File(['good'], name)); " + (
            "document.dispatchEvent(new DragEvent('drop', {dataTransfer: data})); }"
        )
        page.evaluate(script, ["dropped.png"])
        frame.locator("header p", has_text="dropped.png").wait_for(timeout=30000)
        page.screenshot(path=tmp_path / "server.png")
        context.close()
        server.shutdown()
        thread.join()
    assert all(url.startswith((server.address, "data:")) for url in asked)
    assert all("422" in text for text in said), said


def test_a_page_that_is_cut_off_says_so(browser, photo_page, tmp_path):
    """A file whose weights are damaged does not show wrong numbers."""
    html = tmp_path / "damaged.html"
    text = Path(photo_page[0].removeprefix("file://")).read_text("utf-8")
    start = text.index('id="data">') + len('id="data">')
    data = json.loads(text[start : text.index("</script>", start)])
    stored = data["layers"][0]["rows"]["text"]
    html.write_text(text.replace(stored, stored[: len(stored) // 8 * 4]), encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    page.goto(html.as_uri())
    page.wait_for_selector("#wrong:not([hidden])")
    assert page.inner_text("#wrong").startswith("This page is damaged")
    context.close()
