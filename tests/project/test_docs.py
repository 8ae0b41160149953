"""The pages of docs/: they build without a warning, and say what the README says without saying it twice."""

import os
import re
import runpy
import subprocess
import sys
from types import SimpleNamespace

import pytest
from conftest import ROOT

import keras_fcn

HOOK = runpy.run_path(str(ROOT / "docs/readme_sections.py"))


def page_at(path):
    return SimpleNamespace(file=SimpleNamespace(src_uri=path))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built pages; tests only read it."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stdout) == (0, ""), built.stderr
    return folder


def test_pages_build_without_a_warning(site):
    pages = {path.relative_to(site).with_suffix(".md").as_posix() for path in site.rglob("*.html")} - {"404.md"}
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages == written | {f"notebooks/{path.stem}.md" for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_notebooks_are_pages_with_their_pictures(site):
    page = (site / "notebooks/fcn.html").read_text(encoding="utf-8")
    pictures = re.findall(r'src="(fcn_files/[^"]+\.png)"', page)
    assert len(pictures) >= 8
    assert all((site / "notebooks" / name).is_file() for name in pictures)
    assert "build_fcn" in page
    assert '<a href="notebooks/fcn.html">' in (site / "index.html").read_text(encoding="utf-8")


def test_every_section_of_the_readme_is_on_a_page(site):
    titles = [title for title in HOOK["readme_sections"]((ROOT / "README.md").read_text(encoding="utf-8")) if title]
    built = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.html"))
    for title in titles:
        assert f">{title}<" in built, title
    assert "{README" not in built


def test_the_api_pages_have_the_public_names(site):
    built = "".join(path.read_text(encoding="utf-8") for path in (site / "api").glob("*.html"))
    for name in keras_fcn.__all__:
        assert f'id="keras_fcn.{name}"' in built, name


def test_pages_load_nothing_from_elsewhere(site):
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert re.findall(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//', text) == [], path
        assert re.findall(r'<link[^>]+rel="(?:stylesheet|preconnect)"[^>]+href="(?:https?:)?//', text) == [], path


def test_sections_and_links():
    sections = HOOK["readme_sections"]("# Name\ntop\n## One\na\n### Part\nb\n## Two\nc\n")
    assert sections == {"": "top\n", "One": "## One\na\n", "Part": "### Part\nb\n", "Two": "## Two\nc\n"}
    show = HOOK["on_page_markdown"]
    assert show("see a/b.c#12 and `d/e#3`", page_at("x.md")).startswith(
        "see [a/b.c#12](https://github.com/a/b.c/issues/12)"
    )
    assert "`d/e#3`" in show("`d/e#3`", page_at("x.md"))
    linked = HOOK["_linked"](
        "[results](docs/results.md#x), [recipe](recipes/a.yaml), [us](LICENSE), [it](https://a.b)", 1
    )
    assert linked == "[results](../results.md#x), recipe, us, [it](https://a.b)"
    assert HOOK["_linked"]("[cells](notebooks/n.ipynb)", 1) == "[cells](../notebooks/n.md)"
    with pytest.raises(KeyError):
        show("{README: No such section}", page_at("x.md"))


def test_messages_that_troubleshooting_quotes_are_the_program_s():
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "keras_fcn").rglob("*.py"))
    quoted = re.findall(r'"([^"]+)"', page)
    assert len(quoted) >= 4
    for part in (part.strip() for quote in quoted for part in quote.removesuffix(" nan").split("...")):
        assert part in sources, part
