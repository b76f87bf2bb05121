"""Pictures of a run's page for a person to look at: `python -m tests.browser.shots RUN OUT`.

Whole pages at 400 and 1600 pixels, light and dark.
"""

from __future__ import annotations

import sys
from pathlib import Path

from qmoe.report import write_report
from qmoe.rundir import Run
from tests.browser.pages import browser, opened


def main() -> None:
    """Writes them."""
    run, out = Run.open(Path(sys.argv[1])), Path(sys.argv[2])
    page = write_report(run, out)
    with browser() as started:
        for width in (400, 1600):
            for scheme in ("light", "dark"):
                with opened(started, page, width=width, scheme=scheme) as found:
                    file = out / f"{width}-{scheme}.png"
                    found.page.screenshot(path=file, full_page=True)
                    print(file)


if __name__ == "__main__":
    main()
