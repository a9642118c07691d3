"""A real browser without a window, for the tests of pages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FOUND = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(FOUND is None, reason=f"needs a browser: {', '.join(NAMES)}")


def opened(page: str, folder: Path, *arguments: str) -> tuple[str, str]:
    """Open a page, which is written to `folder`; return its elements when it has loaded, and what the browser logs."""
    assert FOUND is not None
    file = folder / "opened.html"
    file.write_text(page, "utf-8")
    command = [
        *(FOUND, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}", *arguments, "--dump-dom", file.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    return done.stdout, done.stderr
