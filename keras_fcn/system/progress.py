"""Progress bars."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm  # importing it takes longer than the help of a command line should


def progress_bar(total: int | None, unit: str, what: str | None = None, **options) -> tqdm:
    """Returns a bar that is drawn on a terminal only, and vanishes at the end; a context manager.

    Args:
        total: How many units there are, if that is known.
        unit: What is counted, in the singular.
        what: What stands before the bar.
        **options: Further arguments of `tqdm`.
    """
    from tqdm import tqdm

    # On stdout where that is a terminal: what goes to stderr may be held back at the time (`stderr_unless_it_fails`).
    file = sys.stdout if sys.stdout.isatty() else sys.stderr
    return tqdm(
        total=total, unit=unit, desc=what, file=file, disable=None, leave=False, dynamic_ncols=True, **options
    )  # fmt: skip
