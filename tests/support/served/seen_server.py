"""Runs `python -m export.serve` where SlipCover sees it; its process ends as it does, and what was seen is kept."""

import atexit
import json
import os
import runpy
import sys
from pathlib import Path

import slipcover

ROOT = Path(__file__).parents[3]
SOURCES = [str(ROOT / name) for name in ("keras_fcn", "export")]
folder = Path(sys.argv.pop(1))
seen = slipcover.Slipcover(branch=True, source=SOURCES)
end_process = os._exit


def keep() -> None:
    (folder / f"server-{os.getpid()}.json").write_text(json.dumps(seen.get_coverage()))


def end(status: int) -> None:
    keep()
    end_process(status)


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    os._exit = end
    atexit.register(keep)
    with slipcover.ImportManager(seen, slipcover.FileMatcher(SOURCES)):
        runpy.run_module("export.serve", run_name="__main__", alter_sys=True)
