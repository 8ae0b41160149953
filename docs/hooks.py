"""Hooks of MkDocs: the notebooks become pages, each command's `--help` one more, and `owner/repository#1` a link.

That link leads to the thread on GitHub.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[1]
COMMANDS = (
    "train.py", "evaluate.py", "predict.py", "-m keras_fcn.check", "-m keras_fcn.convert", "-m keras_fcn.summary",
    "-m export.saved_model", "-m export.serve", "-m export.onnx", "-m export.openvino", "-m export.litert",
    "-m export.hub", "-m export.benchmark", "-m export.web",
)  # fmt: skip


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the notebooks and that of the commands to those that MkDocs found; MkDocs calls it once.

    Args:
        files: Those in docs/.
        config: MkDocs' own settings.
    """
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text, resources = MarkdownExporter().from_filename(str(path), {"output_files_dir": f"{path.stem}_files"})
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, picture in resources["outputs"].items():
            files.append(File.generated(config, f"notebooks/{name}", content=picture))
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    return files


def commands_page() -> str:
    """Returns a page with what each command says of its options."""
    page = "# Commands\n\nThe options of every command, as `--help` prints them.\n"
    for command in COMMANDS:
        words = [sys.executable, *command.split(), "--help"]
        environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONUTF8": "1"}
        ran = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=True)
        page += f"\n## python {command}\n\n```text\n{ran.stdout.rstrip()}\n```\n"
    return page


def on_page_markdown(markdown: str, **_) -> str:
    """Returns a page with links to threads, those in code left as they are; MkDocs calls it for every page."""
    return re.sub(r"(?<![\w/`])([\w-]+/[\w.-]+)#(\d+)", r"[\1#\2](https://github.com/\1/issues/\2)", markdown)
