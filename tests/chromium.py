"""Pages in a headless browser: what they hold after their scripts ran, and its complaints."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
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
needs_chromium = pytest.mark.skipif(not _CHROMIUM, reason="no chromium")


def dump_page(url: str, folder: Path, *flags: str) -> str:
    """The document after its scripts ran, which must have had no complaint."""
    done = subprocess.run(
        [_CHROMIUM, *_FLAGS, *flags, f"--user-data-dir={folder}/user", "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def rendered_dom(page: str, folder: Path, script: str = "") -> str:
    """The document that a page becomes, and a script behind its own."""
    file = folder / "page.html"
    own = f"<script>{script}</script></body>" if script else "</body>"
    file.write_text(page.replace("</body>", own), encoding="utf-8")
    return dump_page(file.as_uri(), folder)


def run_script(
    page: Path, folder: Path, script: str, fragment: str = "", size: str = "1400,900"
) -> Any:
    """What an asynchronous script answers that runs in a copy of a page, once it is ready.

    Args:
        page: the file.
        folder: for the copy and the browser's own files.
        script: body of an `async` function.
        fragment: of the URL.
        size: of the window.
    """
    probe = f"""<script>
(async () => {{
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  while (document.body.dataset.ready !== "yes") await wait(5);
  const answer = await (async () => {{ {script} }})();
  const told = document.createElement("pre");
  told.id = "answer"; told.textContent = JSON.stringify(answer);
  document.body.append(told);
}})();
</script>"""
    copy = folder / "probed.html"
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{probe}</body>"), "utf-8")
    # Virtual time runs on as long as anything waits, so that nothing here depends on speed.
    flags = (f"--window-size={size}", "--virtual-time-budget=20000")
    shown = dump_page(copy.as_uri() + fragment, folder, *flags)
    found = re.search(r'<pre id="answer">(.*?)</pre>', shown, re.DOTALL)
    assert found is not None, "the script did not end"
    return json.loads(html.unescape(found[1]))
