"""Progress bars."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm  # its import would slow down --help


def progress_bar(total: int | None, unit: str, what: str | None = None, **options) -> tqdm:
    """Returns a progress bar, drawn on a terminal only and erased at the end; a context manager.

    Args:
        total: Number of units, if known.
        unit: Name of the unit, in the singular.
        what: Text before the bar.
        **options: Further arguments of `tqdm`.
    """
    from tqdm import tqdm

    # On stdout where that is a terminal: stderr may be held back meanwhile (`stderr_unless_it_fails`).
    file = sys.stdout if sys.stdout.isatty() else sys.stderr
    return tqdm(
        total=total, unit=unit, desc=what, file=file, disable=None, leave=False, dynamic_ncols=True, **options
    )  # fmt: skip
