"""The pages of docs/: they build without a warning, and their tables and names are the program's."""

import os
import re
import runpy
import subprocess
import sys

import pytest
from conftest import ROOT

import keras_fcn
from keras_fcn.runs.names import BACKBONES, LAYOUTS, LOSSES, OUTPUTS

HOOKS = runpy.run_path(str(ROOT / "docs/hooks.py"))
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built pages; tests only read it."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stdout) == (0, ""), built.stderr
    return folder


def test_pages_build_without_a_warning_and_are_all_in_the_navigation(site):
    pages = {path.relative_to(site).with_suffix(".md").as_posix() for path in site.rglob("*.html")} - {"404.md"}
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    notebooks = {f"notebooks/{path.stem}.md" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert pages == written | notebooks | {"reference/commands.md"}
    start = (site / "index.html").read_text(encoding="utf-8")
    for page in pages - {"index.md"}:
        assert f'href="{page.removesuffix(".md")}.html"' in start, page


def test_notebooks_are_pages_with_their_pictures(site):
    page = (site / "notebooks/fcn.html").read_text(encoding="utf-8")
    pictures = re.findall(r'src="(fcn_files/[^"]+\.png)"', page)
    assert len(pictures) >= 8
    assert all((site / "notebooks" / name).is_file() for name in pictures)
    assert "build_fcn" in page


def test_the_page_of_commands_has_their_options(site):
    page = (site / "reference/commands.html").read_text(encoding="utf-8")
    for option in ("--keep-checkpoints", "--submission", "--skip-existing", "--layers", "--max-pixels", "--int8"):
        assert option in page, option


def test_the_api_pages_have_the_public_names(site):
    built = "".join(path.read_text(encoding="utf-8") for path in (site / "reference/api").glob("*.html"))
    for name in keras_fcn.__all__:
        assert f'id="keras_fcn.{name}"' in built, name


def test_pages_load_nothing_from_elsewhere(site):
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert re.findall(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//', text) == [], path
        assert re.findall(r'<link[^>]+rel="(?:stylesheet|preconnect)"[^>]+href="(?:https?:)?//', text) == [], path


def test_threads_are_links():
    show = HOOKS["on_page_markdown"]
    assert show("see a/b.c#12 and `d/e#3`") == "see [a/b.c#12](https://github.com/a/b.c/issues/12) and `d/e#3`"


def test_messages_that_troubleshooting_quotes_are_the_program_s():
    page = (DOCS / "how_to/troubleshooting.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "keras_fcn").rglob("*.py"))
    quoted = re.findall(r'"([^"]+)"', page)
    assert len(quoted) >= 4
    for part in (part.strip() for quote in quoted for part in quote.removesuffix(" nan").split("...")):
        assert part in sources, part


def rows_of(page, first):
    """The rows of the table of a page whose first column has this title, as lists of cells."""
    table = (DOCS / page).read_text(encoding="utf-8").split(f"| {first} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def names_in(cell):
    return re.findall(r"`(\w+)`", cell)


def test_the_table_of_backbones_is_the_program_s():
    told = {
        name: (imagenet.replace("`", ""), files.replace("`", ""))
        for names, imagenet, files in rows_of("reference/networks.md", "`--backbone`")
        for name in names_in(names)
    }
    assert told == {name: (entry.imagenet, entry.files) for name, entry in BACKBONES.items()}


@pytest.mark.parametrize(
    ("page", "option", "names"),
    [
        ("reference/layouts.md", "`--layout`", list(LAYOUTS)),  # in the order in which they are recognized
        ("reference/training_options.md", "`--loss`", list(LOSSES)),
        ("reference/outputs.md", "`--write`", list(OUTPUTS)),
    ],
)
def test_a_table_of_names_is_the_program_s(page, option, names):
    assert [names_in(row[0])[0] for row in rows_of(page, option)] == names


def test_the_floors_of_the_architecture_are_the_contract_s():
    contract = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("exhaustive = true\nlayers = [", 1)[1]
    floors = [re.findall(r"\w+", line) for line in re.findall(r'"(.*)"', contract.split("]", 1)[0])]
    assert [names_in(row[1]) for row in rows_of("explanation/architecture.md", "floor")] == floors
    drawn = re.findall(r">(\w+)</text>", (DOCS / "gallery/house.svg").read_text(encoding="utf-8"))
    assert drawn == [name for floor in floors for name in floor]


def test_files_that_pages_name_exist():
    for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(r"`((?:keras_fcn|export|tests|docs|recipes|benchmarks)/[\w/.-]*)`", text):
            assert (ROOT / path).exists(), f"{page.name}: {path}"
