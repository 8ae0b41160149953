"""Runs `python -m export.serve` where coverage sees it; its process ends as it does, and what was seen is kept."""

import os
import runpy
import sys
from pathlib import Path

import coverage

seen = coverage.Coverage(data_suffix=True, auto_data=True)
end_process = os._exit


def end(status: int) -> None:
    seen.stop()
    seen.save()
    end_process(status)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[3])
    os._exit = end
    seen.start()
    runpy.run_module("export.serve", run_name="__main__", alter_sys=True)
