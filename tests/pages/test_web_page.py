"""A page stands alone, and names of other people stay text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from xbarc.pages import WebPage, content_policy

HOSTILE = '</script><img src=x onerror="document.title=1">'


def test_data_cannot_end_its_script(tmp_path: Path) -> None:
    script = tmp_path / "own.js"
    script.write_text("own();\n")
    page = WebPage(HOSTILE, "<p>body</p>\n", scripts=(script,), data={"facts": [HOSTILE]}).render()
    assert "<img" not in page
    data = re.search(r'id="facts">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1]) == [HOSTILE]
    assert page.index("const $ =") < page.index("own();")


@pytest.mark.parametrize("asks", [False, True])
def test_nothing_leaves_the_page(asks: bool) -> None:
    policy = content_policy(asks_server=asks)
    assert policy.startswith("default-src 'none';")
    assert ("connect-src 'self'" in policy) == asks
    page = WebPage("title", "", asks_server=asks).render()
    assert f'content="{policy}"' in page
    assert not re.search(r"(?:src|href)=|https?://|@import|url\(", page)
