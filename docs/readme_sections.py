"""A hook of MkDocs: `{README: Title}` on a line stands for that section of README.md, so that nothing is said twice.

`owner/repository#1` becomes a link to that thread on GitHub.
"""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def on_page_markdown(markdown: str, page, **_) -> str:
    """Returns a page with the sections that it asks for and links to threads; MkDocs calls it for every page.

    Args:
        markdown: The page as it is written.
        page: MkDocs' description of it.

    Raises:
        KeyError: If the README has no such section.
    """
    sections = readme_sections(README.read_text(encoding="utf-8"))
    depth = page.file.src_uri.count("/")
    page_text = re.sub(
        r"^\{README: ?(.*)\}$", lambda line: _linked(sections[line[1]], depth), markdown, flags=re.MULTILINE
    )
    return re.sub(r"(?<![\w/`])([\w-]+/[\w.-]+)#(\d+)", r"[\1#\2](https://github.com/\1/issues/\2)", page_text)


def readme_sections(text: str) -> dict[str, str]:
    """Splits the README at its headings.

    Args:
        text: Markdown.

    Returns:
        By title, a section with its heading, up to the next heading of any depth; under "", what stands between the
        title of the whole and the first section, without the link to another language.
    """
    top, *parts = re.split(r"^(?=##+ )", text, flags=re.MULTILINE)
    sections = {"": re.sub(r"^\[.*\]\(README.*\)$", "", top.split("\n", 1)[1], flags=re.MULTILINE)}
    for part in parts:
        title = part.split("\n", 1)[0].lstrip("# ")
        sections[title] = part
    return sections


def _linked(section: str, depth: int) -> str:
    """Makes links to pages relative to a page that is `depth` folders down, and those to other files plain words."""
    section = re.sub(r"\]\((notebooks/[^)]*)\.ipynb\)", r"](docs/\1.md)", section)  # where `notebook_pages` puts them
    section = re.sub(r"(?<!!)\[([^\]]*)\]\((?!https?:|docs/|#)[^)]*\)", r"\1", section)
    return re.sub(r"\]\(docs/([^)]*)\)", lambda link: f"]({'../' * depth}{link[1]})", section)
