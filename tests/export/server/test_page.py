"""The server's page, in a headless Chromium: as its visitors use it."""

import contextlib
import importlib.util
import shutil

import numpy as np
import pytest
from kinds_of_files import PIXELS as PHOTO
from kinds_of_files import write_photo
from PIL import Image, ImageOps
from servers import needs_server, wait_until

from keras_fcn import ClassTable, Predictor, read_image

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    needs_server,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="pip install -r requirements-dev.txt"),
]
PHONE = {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True}
PIXELS = """([id, rows]) => { const c = document.getElementById(id), width = c.width, height = Math.min(rows, c.height);
  return [height, width, [...c.getContext("2d").getImageData(0, 0, width, height).data]]; }"""
CONTRASTS = """() => {
  const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = color => { const [r, g, b] = color.map(linear); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
                        if (c.length < 4 || c[3]) return c.slice(0, 3); } return [255, 255, 255]; };
  return [...document.querySelectorAll("h1, h2, p, label, button, a, th, td, span, output")]
    .filter(e => e.checkVisibility() && e.innerText.trim() && !e.disabled)
    .map(e => { const [a, b] = [parse(getComputedStyle(e).color), ground(e)].map(light).sort((x, y) => y - x);
                return [e.innerText, (a + 0.05) / (b + 0.05)]; }); }"""


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=camera)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, server):
    """Opens the page; at the end, the browser may have reported no errors but for rejected files."""
    with contextlib.ExitStack() as stack:
        errors = []

        def open_page(**options):
            page = stack.enter_context(contextlib.closing(browser.new_page(**options)))
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
            page.goto(server.url)
            page.wait_for_selector("#model:not(:empty)")
            return page

        yield open_page
        assert [text for text in errors if "400 (Bad Request)" not in text] == []


def upload(page, file):
    page.set_input_files("#file", file)
    page.wait_for_selector("#result:not([hidden])")


def pixels(page, canvas, rows=1000):
    """Returns a canvas' pixels, uint8 [H, W, 4], of at most so many rows."""
    height, width, values = page.evaluate(PIXELS, [canvas, rows])
    return np.array(values, np.uint8).reshape(height, width, 4)


def test_a_photo_is_shown_with_its_classes(visit, trained, toy):
    photo = toy / "JPEGImages/val_0000.jpg"
    ids = Predictor.open(trained)(read_image(photo))
    classes = ClassTable.voc()
    page = visit()
    upload(page, photo)

    overlay = pixels(page, "overlay")
    np.testing.assert_array_equal(overlay[..., 3], np.where(ids == 0, 0, 255))
    np.testing.assert_array_equal(overlay[ids > 0][:, :3], classes.to_rgb(ids)[ids > 0])
    shown, decoded = pixels(page, "photo")[..., :3], np.asarray(Image.open(photo).convert("RGB"))
    assert np.abs(shown.astype(int) - decoded).mean() < 2  # decoders of JPEG differ a little

    counts = np.bincount(ids.ravel())
    order = sorted(np.flatnonzero(counts), key=lambda index: -counts[index])
    rows = [row.locator("td, th").all_inner_texts() for row in page.locator("#legend tbody tr").all()]
    assert [name.strip() for _, name, _ in rows] == [f"{classes.names[index]} ({index})" for index in order]
    assert float(rows[0][2].rstrip("%")) == pytest.approx(100 * counts[order[0]] / ids.size, abs=0.05001)
    assert page.inner_text("#status").startswith(f"Done: {classes.names[order[0]]} {rows[0][2]}")
    assert page.evaluate("document.activeElement.id") == "result-title"

    with page.expect_download() as download:
        page.get_by_role("link", name="Download the mask").click()
    assert download.value.suggested_filename == "val_0000.mask.png"
    np.testing.assert_array_equal(np.asarray(Image.open(download.value.path())), ids)


def test_a_bad_file_is_named_and_the_next_one_works(visit, toy, tmp_path):
    (tmp_path / "notes.jpg").write_text("not an image")
    page = visit()
    page.set_input_files("#file", tmp_path / "notes.jpg")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert alert.inner_text() == "notes.jpg is neither a JPEG nor a PNG"
    assert page.is_hidden("#result")
    assert page.inner_text("#status") == ""
    upload(page, toy / "JPEGImages/val_0001.jpg")
    assert alert.is_hidden()


def test_photos_are_upright_and_large_ones_are_reduced(visit, tmp_path):
    page = visit()
    turned = write_photo(tmp_path, "turned 6.jpg")
    upload(page, turned)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(turned)).convert("RGB"))
    shown = pixels(page, "photo")[..., :3]
    assert shown.shape == upright.shape
    assert np.abs(shown.astype(int) - upright).mean() < 2
    Image.new("RGB", (2000, 100), (200, 30, 90)).save(tmp_path / "large.webp")  # no JPEG or PNG, but Chromium knows it
    page.set_input_files("#file", tmp_path / "large.webp")
    wait_until(lambda: page.evaluate("[overlay.height, overlay.width]") == [80, 1600])


def fit_of(page):
    """Returns the sizes [H, W] of the photo and the overlay."""
    return page.evaluate("[[photo.height, photo.width], [overlay.height, overlay.width]]")


def ids_of(page):
    """Returns the downloaded mask."""
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the mask").click()
    image = Image.open(download.value.path())
    assert image.mode == "L"
    return np.asarray(image)


@pytest.mark.parametrize("name", ["turned 6.png", "turned 3.png"])
def test_turned_files_are_shown_as_their_masks_are(visit, trained, tmp_path, name):
    photo = tmp_path / name
    exif = Image.Exif()
    exif[0x112] = int(name[7])
    Image.fromarray(PHOTO).save(photo, exif=exif)
    page = visit()
    upload(page, photo)
    upright = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    assert fit_of(page) == [[upright.height, upright.width]] * 2
    assert np.abs(pixels(page, "photo")[..., :3].astype(int) - np.asarray(upright)).mean() < 2
    np.testing.assert_array_equal(ids_of(page), Predictor.open(trained)(read_image(photo)))


def test_a_photo_that_the_server_turns_otherwise_is_sent_as_it_is_shown(visit, tmp_path):
    page = visit()
    page.evaluate(
        """() => { const decode = createImageBitmap; let number = 0;
             window.createImageBitmap = (file, options) => number++ ? decode(file, options) :
               decode(file, { resizeWidth: 20, resizeHeight: 30 }); }"""
    )
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    upload(page, tmp_path / "a.png")
    assert fit_of(page) == [[30, 20]] * 2


def test_the_mask_of_a_large_photo_has_its_size(visit, tmp_path):
    photo = tmp_path / "large.jpg"
    Image.fromarray(PHOTO).resize((1700, 21)).save(photo)
    page = visit()
    upload(page, photo)
    assert fit_of(page) == [[20, 1600]] * 2
    shown = pixels(page, "overlay")
    expected = "Segmented at 1600 x 20 pixels; the downloaded mask has the photo's 1700 x 21."
    assert page.inner_text("#size") == expected
    ids = ids_of(page)
    assert ids.shape == (21, 1700)
    rows = (np.arange(21) + 0.5) * 20 // 21
    columns = (np.arange(1700) + 0.5) * 1600 // 1700
    enlarged = shown[rows.astype(int)][:, columns.astype(int)]
    np.testing.assert_array_equal(enlarged[..., 3], np.where(ids == 0, 0, 255))
    np.testing.assert_array_equal(enlarged[ids > 0][:, :3], ClassTable.voc().to_rgb(ids)[ids > 0])


def test_the_camera_takes_a_photo(visit):
    page = visit()
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("#viewfinder")  # which opens when the camera answers
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewfinder", state="hidden")
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Take a photo").click()
    page.wait_for_selector("#result:not([hidden])")
    assert page.is_hidden("#viewfinder")
    assert pixels(page, "photo", rows=40)[..., :3].std(axis=(0, 1)).max() > 10


def test_a_dropped_file_counts(visit, toy):
    page = visit()
    data = list((toy / "JPEGImages/val_0000.jpg").read_bytes())
    page.evaluate(
        """data => { const held = new DataTransfer();
             held.items.add(new File([new Uint8Array(data)], "dropped.jpg", {type: "image/jpeg"}));
             document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: held, bubbles: true})); }""",
        data,
    )
    page.wait_for_selector("#result:not([hidden])")
    assert page.get_attribute("#download", "download") == "dropped.mask.png"


def test_the_keyboard_reaches_everything(visit, toy):
    page = visit()
    reached = []
    for _ in range(2):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["file", "camera"]
    upload(page, toy / "JPEGImages/val_0000.jpg")
    page.keyboard.press("Tab")  # from the result's title
    slider = page.get_by_role("slider", name="Colours")
    assert slider.evaluate("slider => slider === document.activeElement")
    page.keyboard.press("End")
    assert page.evaluate("document.getElementById('overlay').style.opacity") == "1"
    assert page.inner_text("#opacity-value") == "100%"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "download"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_legibly(visit, toy, scheme):
    page = visit(color_scheme=scheme, **PHONE)
    upload(page, toy / "JPEGImages/val_0000.jpg")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for element in page.locator(".button:visible").all():
        assert element.bounding_box()["height"] >= 44
    pale = [(text, ratio) for text, ratio in page.evaluate(CONTRASTS) if ratio < 4.5]  # WCAG 2.2, 1.4.3
    assert pale == []
    assert page.locator("canvas:not([aria-label]), input:not(#file):not(#opacity)").count() == 0


def test_the_page_loads_nothing_from_elsewhere(server):
    status, headers, content = server.ask("GET", "/")
    assert (status, b"//" in content) == (200, False)
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    names = [("page.js", "javascript"), ("model.js", "javascript"), ("photos.js", "javascript")]
    for name, kind in [*names, ("grey_png.js", "javascript"), ("page.css", "text/css")]:
        status, headers, _ = server.ask("GET", f"/page/{name}")
        assert (status, kind in headers["Content-Type"]) == (200, True)
