"""Hooks of MkDocs: the notebooks become pages, and `owner/repository#1` a link to that thread on GitHub."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the notebooks to those that MkDocs found; MkDocs calls it once.

    Args:
        files: Those in docs/.
        config: MkDocs' own settings.
    """
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        text, resources = MarkdownExporter().from_filename(str(path), {"output_files_dir": f"{path.stem}_files"})
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, picture in resources["outputs"].items():
            files.append(File.generated(config, f"notebooks/{name}", content=picture))
    return files


def on_page_markdown(markdown: str, **_) -> str:
    """Returns a page with links to threads, those in code left as they are; MkDocs calls it for every page."""
    return re.sub(r"(?<![\w/`])([\w-]+/[\w.-]+)#(\d+)", r"[\1#\2](https://github.com/\1/issues/\2)", markdown)
