"""Run the notebook of the tutorial and keep what it shows: `python docs/notebook.py`.

A cell is run as Jupyter runs it: all its lines, and the value of the last one is shown by its
`_repr_html_`, `_repr_svg_` or `_repr_png_`. No Jupyter is needed to write the notebook, to test it,
or to show it on a page.
"""

import ast
import base64
import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = Path(__file__).resolve().parent / "tutorial" / "notebook.ipynb"
KINDS = {
    "text/html": "_repr_html_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
}


def read() -> dict[str, Any]:
    """The notebook, as it lies there."""
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with the outputs of a run at the root of the repository."""
    space: dict[str, Any] = {}
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        cells = [_run_cell(cell, space, count) for count, cell in enumerate(notebook["cells"], 1)]
    finally:
        os.chdir(before)
    return {**notebook, "cells": cells}


def _run_cell(cell: dict[str, Any], space: dict[str, Any], count: int) -> dict[str, Any]:
    if cell["cell_type"] != "code":
        return cell
    printed, value = _execute("".join(cell["source"]), space)
    outputs = []
    if printed:
        outputs.append({"output_type": "stream", "name": "stdout", "text": _lines(printed)})
    if value is not None:
        shown = {"output_type": "execute_result", "execution_count": count, "metadata": {}}
        outputs.append({**shown, "data": _bundle(value)})
    return {**cell, "execution_count": count, "outputs": outputs}


def _execute(source: str, space: dict[str, Any]) -> tuple[str, Any]:
    """What a cell prints, and the value of its last line where that is an expression."""
    tree, last, out = ast.parse(source), None, io.StringIO()
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    with contextlib.redirect_stdout(out):
        exec(compile(tree, "cell", "exec"), space)  # noqa: S102  # our own notebook
        value = None if last is None else eval(compile(last, "cell", "eval"), space)  # noqa: S307
    return out.getvalue(), value


def _bundle(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"text/plain": _lines(repr(value))}
    for kind, name in KINDS.items():
        show = getattr(value, name, None)
        if show is None or isinstance(value, type):
            continue
        made = show()
        found[kind] = base64.b64encode(made).decode() if isinstance(made, bytes) else _lines(made)
    return found


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def page() -> str:
    """The notebook as a page of these docs."""
    return "\n".join(_cell_page(cell) for cell in read()["cells"])


def _cell_page(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source + "\n"
    return f"```python\n{source}\n```\n" + "".join(map(_output_page, cell["outputs"]))


def _output_page(output: dict[str, Any]) -> str:
    data = output.get("data", {"text/plain": output.get("text", [])})
    if "image/png" in data:
        html = f'<img alt="" src="data:image/png;base64,{data["image/png"]}">'
    elif "text/html" in data or "image/svg+xml" in data:
        html = "".join(data.get("text/html") or data["image/svg+xml"])
    else:
        return f"\n```text\n{''.join(data['text/plain']).rstrip()}\n```\n"
    return f'\n```{{raw}} html\n<div class="output">{html}</div>\n```\n'


def main() -> None:
    """Write the notebook anew."""
    text = json.dumps(run(read()), indent=1, ensure_ascii=False)
    NOTEBOOK.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
