"""The folder of `python -m export.web` in a headless Chromium: masks, offline, updates, and that nothing leaves it."""

import contextlib
import functools
import http.server
import importlib.util
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Call
from kinds_of_files import PIXELS, write_photo
from PIL import Image, ImageOps
from web_sites import write_network

from export.web.engine import PACKAGE
from keras_fcn import ClassTable, Predictor, build_fcn, read_image
from keras_fcn.network.parts import Parts

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ENGINE = Path(os.environ.get("ONNXRUNTIME_WEB", ROOT / "node_modules" / PACKAGE))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="pip install -r requirements-dev.txt"),
    pytest.mark.skipif(not ENGINE.is_dir(), reason=f"npm install {PACKAGE}, or set ONNXRUNTIME_WEB to its folder"),
]
ADDRESS = "sub/path"
"""Where the folder is on its server."""

LEAVING = """async () => {
  const heard = (thing, good, bad) => new Promise((resolve, reject) => { thing[good] = resolve; thing[bad] = reject; });
  const tried = {
    fetch: () => fetch("/x", { method: "POST", body: "x" }),
    same: () => fetch("index.html"),
    elsewhere: () => fetch("http://127.0.0.2/"),
    socket: () => heard(new WebSocket("ws://" + location.host), "onopen", "onerror"),
    image: () => heard(Object.assign(new Image(), { src: "/x" }), "onload", "onerror"),
    beacon: () => { navigator.sendBeacon("/x", "x"); throw 0; }, // it says true even where it is blocked
  };
  const left = [];
  for (const [name, attempt] of Object.entries(tried))
    await (async () => attempt())().then(() => left.push(name), () => {});
  return left;
}"""


class Files(http.server.SimpleHTTPRequestHandler):
    """A server of files that knows few kinds of them, as many do, and keeps what it was asked."""

    def guess_type(self, path):
        kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
        return kinds.get(Path(path).suffix, "text/plain")

    def log_message(self, *_):
        self.server.asked.append((self.command, self.path))


@contextlib.contextmanager
def serving(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=str(folder)))
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def export(network, folder, *words):
    call = Call("export/web/__main__.py", network, folder, "--engine-files", ENGINE, *words)
    assert call.status == 0, call.err


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A network whose masks have many classes, with thresholds and an input scale."""
    model = build_fcn("fcn8s", "resnet18_v2", classes=ClassTable.voc(), context="pyramid", input_scale=0.75)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name.startswith("score"):
            layer.kernel.assign(rng.normal(size=layer.kernel.shape) * 0.3)
    logits = Parts(model).logits
    logits.thresholds, logits.temperature = {"cat": 0.2, "chair": 0.3}, 2.0
    path = tmp_path_factory.mktemp("network") / "network.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def root(network, tmp_path_factory):
    """The folder of a web server, with the exported one at `ADDRESS`."""
    folder = tmp_path_factory.mktemp("www")
    export(network, folder / ADDRESS)
    return folder


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        names = "--host-resolver-rules=MAP plain.test 127.0.0.1"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[names])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, root):
    """Opens the page in a browser of its own; it may have reported no errors at the end."""
    with contextlib.ExitStack() as stack:
        errors = []

        def open_page(server=None, host="127.0.0.1", **options):
            server = server or stack.enter_context(serving(root))
            context = stack.enter_context(contextlib.closing(browser.new_context(**options)))
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"http://{host}:{server.server_port}/{ADDRESS}/")
            page.wait_for_selector("#model:not(:empty)", timeout=120_000)
            return page

        yield open_page
        assert errors == []


def segment(page, file):
    """Returns the ids that the page gives for a file, as downloaded."""
    page.evaluate("document.getElementById('result').hidden = true")
    page.set_input_files("#file", file)
    page.wait_for_selector("#result:not([hidden])", timeout=240_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the mask").click()
    return np.asarray(Image.open(download.value.path()))


def photos(folder):
    """Files of every kind that browsers and predict.py decode alike."""
    names = ("plain.jpg", "progressive.jpg", "grey.jpg", "turned 6.jpg", "turned 5.png", "palette.png")
    files = [write_photo(folder, name) for name in (*names, "16 bits.png", "16 bits in colour.png")]
    alpha = np.arange(PIXELS[..., 0].size, dtype=np.uint8).reshape(PIXELS.shape[:2])
    Image.fromarray(np.dstack([PIXELS, alpha])).save(folder / "half transparent.png")
    Image.fromarray(PIXELS[:1, :1]).save(folder / "one pixel.png")
    noise = np.random.default_rng(0).integers(0, 256, (24, 36, 3), np.uint8)
    Image.fromarray(noise).resize((480, 320), Image.Resampling.BICUBIC).save(folder / "large.png")
    return [*files, *(folder / f"{name}.png" for name in ("half transparent", "one pixel", "large"))]


def test_masks_are_those_of_the_network_itself(visit, network, tmp_path):
    predictor, page = Predictor.open(network), visit()
    assert page.evaluate("crossOriginIsolated")  # so it computes with threads
    several = 0
    for file in photos(tmp_path):
        ids, expected = segment(page, file), predictor(read_image(file))
        assert ids.shape == expected.shape, file.name
        assert (ids == expected).mean() >= 0.999, file.name
        several = max(several, len(np.unique(expected)))
    assert several > 3


def test_twelve_megapixels_are_reduced_and_the_mask_has_their_size(visit, network, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (15, 20, 3), np.uint8)
    Image.fromarray(noise).resize((4000, 3000), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=95)
    page = visit()
    ids = segment(page, tmp_path / "a.jpg")
    assert ids.shape == (3000, 4000)
    expected = "Segmented at 1600 x 1200 pixels; the downloaded mask has the photo's 4000 x 3000."
    assert page.inner_text("#size") == expected
    small = ImageOps.contain(Image.open(tmp_path / "a.jpg"), (1600, 1600))
    reduced = Predictor.open(network)(np.asarray(small))
    assert (ids[1::5, 1::5] == reduced[0::2, 0::2]).mean() > 0.97  # nearly the same pixels


def test_it_starts_and_computes_without_a_network(visit, root, network, tmp_path):
    file = write_photo(tmp_path, "plain.jpg")
    with serving(root) as server:
        page = visit(server)
        before = segment(page, file)
    page.reload()  # nothing listens there any more
    page.wait_for_selector("#model:not(:empty)", timeout=120_000)
    assert page.evaluate("crossOriginIsolated")
    np.testing.assert_array_equal(segment(page, file), before)


def test_nothing_is_asked_for_once_the_network_is_loaded(visit, root, tmp_path):
    with serving(root) as server:
        page = visit(server)
        asked = len(server.asked)
        segment(page, write_photo(tmp_path, "plain.jpg"))
        assert page.evaluate(LEAVING) == []
        assert server.asked[asked:] == []
        assert {command for command, _ in server.asked} == {"GET"}
        assert not any("webgpu" in path for _, path in server.asked)


def test_an_update_replaces_all_of_it_at_the_next_start(visit, tmp_path):
    networks = [write_network(tmp_path / f"{seed}.onnx", seed) for seed in range(2)]
    export(networks[0], tmp_path / "www" / ADDRESS)
    with serving(tmp_path / "www") as server:
        page = visit(server)
        assert page.inner_text("#model").startswith("plants0,")
        export(networks[1], tmp_path / "www" / ADDRESS)
        page.evaluate("navigator.serviceWorker.getRegistration().then((one) => one.update())")
        page.evaluate(
            """async () => { const one = await navigator.serviceWorker.getRegistration();
                 while (!one.waiting) await new Promise((resolve) => setTimeout(resolve, 20)); }"""
        )
        engine = [path for _, path in server.asked if "/engine/" in path]
        page.reload()
        page.wait_for_selector("#model:has-text('plants1,')", timeout=60_000)
        file = write_photo(tmp_path, "rgba.PNG")
        np.testing.assert_array_equal(segment(page, file), Predictor.open(networks[1])(read_image(file)))
        assert [path for _, path in server.asked if "/engine/" in path] == engine  # it is the same
    kept = page.evaluate("caches.keys().then((names) => caches.open(names[0])).then((one) => one.keys())"
                         ".then((keys) => keys.map((key) => key.url))")  # fmt: skip
    folder = tmp_path / "www" / ADDRESS
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    paths = {url.split(f"{ADDRESS}/")[1] for url in kept}
    assert {path for path in paths if not path.endswith("index.html")} < there


def test_a_page_without_https_computes_too(visit, network, tmp_path):
    page, file = visit(host="plain.test"), write_photo(tmp_path, "plain.jpg")
    assert page.evaluate("[isSecureContext, crossOriginIsolated]") == [False, False]
    assert (segment(page, file) == Predictor.open(network)(read_image(file))).mean() >= 0.999


def test_a_bad_file_is_one_line_and_the_next_one_works(visit, tmp_path):
    page = visit()
    write_photo(tmp_path, "plain.jpg")
    for name, content in (("notes.jpg", b"not an image"), ("empty.png", b""), ("page.svg", b"<svg/>")):
        (tmp_path / name).write_bytes(content)
        page.set_input_files("#file", tmp_path / name)
        page.wait_for_selector(f"#problem:has-text('{name} is no picture that this browser can decode.')")
        assert page.is_hidden("#result")
        assert page.inner_text("#status") == ""
    assert segment(page, tmp_path / "plain.jpg").shape == PIXELS.shape[:2]
    assert page.is_hidden("#problem")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_and_the_keyboard_reaches_all(visit, tmp_path, scheme):
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    page = visit(color_scheme=scheme, **phone)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    reached = []
    for _ in range(2):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["file", "camera"]
    segment(page, write_photo(tmp_path, "plain.jpg"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.inner_text("#promise") == "It stays on this device: the network runs here, in your browser."
