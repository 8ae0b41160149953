"""`python -m export.web`: what is in the folder, and what becomes of one that is there already."""

import base64
import hashlib
import html.parser
import json
import re

import numpy as np
import pytest
from conftest import ROOT, Call
from web_sites import CLASSES, write_engine, write_network

from export.web import site
from export.web.engine import read_engine
from export.web.graphics import for_graphics
from export.web.network import read_network
from keras_fcn import Predictor

onnx = pytest.importorskip("onnx", reason="pip install -r requirements-formats.txt")
SERVERS_PAGE = ROOT / "export/server/page"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return write_engine(tmp_path_factory.mktemp("npm") / "onnxruntime-web")


@pytest.fixture(scope="module")
def sites(engine, tmp_path_factory):
    """The files of two exports, of different networks."""
    folder = tmp_path_factory.mktemp("networks")
    networks = [read_network(write_network(folder / f"{seed}.onnx", seed)) for seed in range(2)]
    return [site.site_files(network, read_engine(engine)) for network in networks]


def export(*words):
    return Call("export/web/__main__.py", *words)


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def constants(worker):
    """What the export wrote above the service worker's program."""
    return {
        name: json.loads(value) for name, value in re.findall(r"^const ([A-Z]+) = (.*);$", worker, re.MULTILINE)[:3]
    }


class References(html.parser.HTMLParser):
    """The files that a page names, and its policy."""

    def __init__(self, text):
        super().__init__()
        self.files, self.policy = [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.files += [found[name] for name in ("src", "href") if name in found and not found[name].startswith("data:")]
        if found.get("http-equiv") == "Content-Security-Policy":
            rules = [rule.split() for rule in found["content"].split(";")]
            self.policy = {name: values for name, *values in rules}


def test_the_folder_holds_a_page_with_its_network_and_its_engine(engine, tmp_path):
    network = write_network(tmp_path / "plants.onnx")
    call = export(network, tmp_path / "site", "--engine-files", engine)
    assert (call.status, call.err) == (0, "")
    files = files_in(tmp_path / "site")

    found = constants(files["service-worker.js"].decode())
    assert found["FILES"] == {
        path: hashlib.sha256(content).hexdigest() for path, content in files.items() if path != "service-worker.js"
    }
    page = References(files["index.html"].decode())
    assert set(page.files) == {f"{found['VERSION']}/page.css", f"{found['VERSION']}/page.js"}
    for path in SERVERS_PAGE.iterdir():
        if path.name not in ("index.html", "model.js"):
            assert files[f"{found['VERSION']}/{path.name}"] == path.read_bytes()
    for path, content in files.items():
        for name in re.findall(r'(?:from|import) "\./([^"]+)"', content.decode()) if path.endswith(".js") else ():
            assert f"{found['VERSION']}/{name}" in files

    contents = json.loads(files[f"{found['VERSION']}/contents.json"])
    assert (contents["name"], tuple(contents["names"])) == ("plants0", CLASSES.names)
    assert np.array_equal(contents["colors"], CLASSES.colors)
    for kind, pair in contents["engines"].items():
        assert files[pair["script"]["path"]] == (engine / f"dist/ort.{kind}.bundle.min.mjs").read_bytes()
        assert files[pair["binary"]["path"]] == kind.encode()
        assert pair["script"]["path"].endswith(".js")  # servers do not know .mjs
    for entry in [contents["model"], *(entry for pair in contents["engines"].values() for entry in pair.values())]:
        content = files[entry["path"]]
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_the_policy_lets_nothing_out(sites):
    page, worker = (sites[0][name].decode() for name in ("index.html", "service-worker.js"))
    policy = References(page).policy
    assert constants(worker)["POLICY"] == site.POLICY
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert policy["connect-src"] == ["'self'"]  # until the network is loaded
    sources = {source for values in policy.values() for source in values}
    assert sources == {"'none'", "'self'", "'wasm-unsafe-eval'", "blob:", "data:"}
    assert "//" not in page
    assert "connect-src 'none'" in sites[0][f"{constants(worker)['VERSION']}/download.js"].decode()


def test_browsers_get_what_they_must_compute_themselves(sites, tmp_path):
    path = next(path for path in sites[0] if path.endswith("contents.json"))
    check = json.loads(sites[0][path])["check"]
    image, ids = (np.frombuffer(base64.b64decode(check[name]), np.uint8) for name in ("rgb", "ids"))
    image, ids = image.reshape(check["height"], check["width"], 3), ids.reshape(check["height"], check["width"])
    np.testing.assert_array_equal(Predictor.open(write_network(tmp_path / "a.onnx"))(image), ids)
    assert len(np.unique(ids)) >= 3


def test_channels_that_graphics_cards_get_wrong_are_filled_up(tmp_path):
    path = write_network(tmp_path / "a.onnx")
    filled = for_graphics(path.read_bytes())
    (tmp_path / "b.onnx").write_bytes(filled)
    graph = onnx.load_from_string(filled).graph
    kernels = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    shapes = [kernels[node.input[1]] for node in graph.node if node.op_type == "Conv"]
    assert shapes == [[5, 3, 1, 1], [8, 8, 2, 2], [5, 8, 1, 1]]
    image = np.random.default_rng(0).integers(0, 256, (33, 47, 3), np.uint8)
    before, after = (Predictor.open(tmp_path / name)(image) for name in ("a.onnx", "b.onnx"))
    assert (before == after).mean() > 0.999
    assert for_graphics(filled) == filled


def test_weights_beside_the_file_come_with_it(tmp_path, monkeypatch):
    for seed, folder in enumerate(("model", "working")):
        path = write_network(tmp_path / f"{seed}.onnx", seed)
        (tmp_path / folder).mkdir()
        onnx.save(
            onnx.load(path), tmp_path / folder / "a.onnx", save_as_external_data=True, location="w", size_threshold=0
        )
    monkeypatch.chdir(tmp_path / "working")
    content = read_network(tmp_path / "model/a.onnx").content
    (tmp_path / "alone.onnx").write_bytes(content)
    image = np.random.default_rng(0).integers(0, 256, (33, 47, 3), np.uint8)
    expected, found = (Predictor.open(tmp_path / name)(image) for name in ("0.onnx", "alone.onnx"))
    assert (found == expected).mean() > 0.999


def test_a_folder_is_brought_up_to_date_and_keeps_what_others_put_there(sites, tmp_path):
    folder = tmp_path / "site"
    site.write_site(folder, sites[0])
    (folder / "engine/notes.txt").write_text("mine")
    (folder / ".nojekyll").touch()
    site.write_site(folder, sites[1])
    assert files_in(folder) == {**sites[1], "engine/notes.txt": b"mine", ".nojekyll": b""}
    assert len(sites[0].keys() - sites[1].keys()) > 5  # they have gone
    assert [path for path in tmp_path.iterdir() if path != folder] == []


def test_whenever_an_export_stops_the_folder_serves_one_whole_export(sites, tmp_path, monkeypatch):
    for number in range(0, len(sites[1]) + 1, 3):
        folder = tmp_path / str(number)
        site.write_site(folder, sites[0])
        made, write = iter(range(number)), site.replaced_file

        def stopping(path, made=made, write=write):
            next(made)  # StopIteration stands for a kill
            return write(path)

        with monkeypatch.context() as patch:
            patch.setattr(site, "replaced_file", stopping)
            if number < len(sites[1]):
                with pytest.raises((StopIteration, RuntimeError)):
                    site.write_site(folder, sites[1])
            else:
                site.write_site(folder, sites[1])
        found = files_in(folder)
        whole = [one for one in sites if found["index.html"] == one["index.html"]]
        assert len(whole) == 1
        assert all(found[path] == content for path, content in whole[0].items() if path != "service-worker.js")


def test_a_new_folder_appears_whole(sites, tmp_path, monkeypatch):
    def fail(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(site, "replaced_file", fail)
    with pytest.raises(site.UserError, match="No space left"):
        site.write_site(tmp_path / "site", sites[0])
    assert [*tmp_path.iterdir()] == []


def test_a_page_of_somebody_else_is_not_replaced(engine, tmp_path):
    network, folder = write_network(tmp_path / "a.onnx"), tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("my page")
    call = export(network, folder, "--engine-files", engine)
    assert (call.status, call.err.count("\n")) == (2, 1)
    assert "index.html: exists, and python -m export.web did not write it; give a new or empty folder" in call.err
    assert files_in(folder) == {"index.html": b"my page"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "package.json").unlink(), "is no folder of an npm package; give the folder of"),
        (lambda folder: (folder / "package.json").write_text('{"name": "left", "version": "1"}'), "npm package left;"),
        (lambda folder: (folder / "package.json").write_text("[]"), "is no folder of an npm package"),
        (lambda folder: (folder / "dist/ort.wasm.bundle.min.mjs").unlink(), "as onnxruntime-web 1.29.0 has it; 1.30.0"),
        (lambda folder: (folder / "dist/ort-wasm-simd-threaded.wasm").unlink(), "ort-wasm-simd-threaded.wasm: cannot"),
        (lambda folder: (folder / "dist/ort.wasm.bundle.min.mjs").write_text(""), "names 0 files of the engine"),
    ],
)
def test_a_wrong_folder_of_the_engine_is_one_line(change, words, tmp_path):
    folder = write_engine(tmp_path / "npm", "1.29.0")
    change(folder)
    call = export(write_network(tmp_path / "a.onnx"), tmp_path / "site", "--engine-files", folder)
    assert (call.status, call.err.count("\n")) == (2, 1)
    assert words in call.err
    assert "npm install onnxruntime-web@1.30.0" in call.err
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("options", "words", "message"),
    [
        ({"size": (32, 48)}, (), "takes images of 32 x 48 pixels alone, and photos have any size"),
        ({"output": 1}, (), "gives probabilities and no class ids"),
        ({"channels": 4}, (), "takes images of 4 channels; browsers give photos in RGB"),
        ({}, ("--threshold", "leaf=0.3"), "is exported already; give --threshold with its run"),
    ],
)
def test_a_network_that_the_page_cannot_run_is_one_line(options, words, message, engine, tmp_path):
    network = write_network(tmp_path / "a.onnx", **options)
    call = export(network, tmp_path / "site", "--engine-files", engine, *words)
    assert (call.status, call.err.count("\n")) == (2, 1)
    assert f"error: {network}: {message}" in call.err
    assert not (tmp_path / "site").exists()


def test_another_version_of_the_engine_is_said(tmp_path):
    engine = write_engine(tmp_path / "npm", "1.31.0")
    call = export(write_network(tmp_path / "a.onnx"), tmp_path / "site", "--engine-files", engine)
    assert (call.status, call.err) == (0, "onnxruntime-web 1.31.0 is not the version that was tried, 1.30.0\n")
