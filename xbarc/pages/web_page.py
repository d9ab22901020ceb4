"""An HTML document with its style, script and data inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from xbarc.pages.colours import theme

_FOLDER = Path(__file__).parent
_LIGHT = "--dot: #8fa9c9; --best: #c2410c; --pick: #0f766e; --proved: #3b6ea8;"
_DARK = "--dot: #58749a; --best: #fb923c; --pick: #5eead4; --proved: #8dbdf0;"


@dataclass(frozen=True)
class WebPage:
    """A document that needs no other file.

    Attributes:
        title: of the window, as plain text.
        body: HTML; whoever writes it escapes what comes from elsewhere.
        styles, scripts: files of the page's own, after those that all pages share.
        data: values for scripts, by the id of the element that holds them as JSON.
        asks_server: whether scripts may fetch from where the page came from.
    """

    title: str
    body: str
    styles: tuple[Path, ...] = ()
    scripts: tuple[Path, ...] = ()
    data: Mapping[str, object] = field(default_factory=dict)
    asks_server: bool = False

    def render(self) -> str:
        """The whole document."""
        style = theme(":root", _LIGHT, _DARK, printed=False)
        style += "".join(_read(path) for path in (_FOLDER / "base.css", *self.styles))
        script = "".join(_read(path) for path in (_FOLDER / "base.js", *self.scripts))
        held = "".join(_hold(name, value) for name, value in self.data.items())
        policy = content_policy(asks_server=self.asks_server)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            f"<title>{escape(self.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
            f"{self.body}{held}<script>\n{script}</script>\n</body>\n</html>\n"
        )


def content_policy(*, asks_server: bool) -> str:
    """What a browser lets the page do: nothing leaves it, whatever its data says."""
    own = " connect-src 'self';" if asks_server else ""
    return f"default-src 'none';{own} style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def _hold(name: str, value: object) -> str:
    # `<` would end the script that holds the data, whatever a name of other people says.
    text = json.dumps(value, allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
