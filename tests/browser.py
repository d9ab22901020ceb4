"""Pages in a headless browser: what it makes of them, and what it complains about."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
# Without the flags for background work a browser asks its maker's hosts, and fails for want of one.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--enable-logging=stderr",
)


def rendered_dom(page: str, folder: Path, script: str = "") -> str:
    """The document after its scripts ran, and `script` behind them; no complaint on the console."""
    file = folder / "page.html"
    own = f"<script>{script}</script></body>" if script else "</body>"
    file.write_text(page.replace("</body>", own), encoding="utf-8")
    done = subprocess.run(
        [CHROMIUM, *_FLAGS, f"--user-data-dir={folder}/user", "--dump-dom", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout
