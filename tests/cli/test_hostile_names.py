"""Names that would move a cursor, run in a spreadsheet or break out of a page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.cli.conftest import Run
from xbarc.errors import visible
from xbarc.report.escaping import csv_cell, markup, text_lines

NAMES = (
    "=2+3",
    "a\x1b[31mb",
    "x\ny",
    "\u202eevil",
    "\x9b2J",
    "</title><script>",
    "@SUM(A1)",
    "[/red]",
)


@pytest.mark.parametrize("name", NAMES)
def test_helpers(name: str) -> None:
    for text in (visible(name), markup(name), text_lines([name]), csv_cell(name)):
        assert text.isprintable()
    assert "<" not in markup(name)
    assert not csv_cell(name).startswith(("=", "+", "-", "@"))
    assert csv_cell(-3.5) == -3.5
    assert visible("conv1/weight é") == "conv1/weight é"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain of products with such names; its values are named so too."""
    folder = tmp_path_factory.mktemp("hostile")
    nodes, weights, source = [], [], "x"
    for index, name in enumerate(NAMES):
        weight, result = f"w{index}", f"{name}!"
        nodes.append(helper.make_node("MatMul", [source, weight], [result], name=name))
        weights.append(numpy_helper.from_array(np.eye(4, dtype=np.float32), weight))
        source = result
    ports = [helper.make_tensor_value_info(n, 1, ["N", 4]) for n in ("x", source)]
    graph = helper.make_graph(nodes, "\x1b]0;title\x07", ports[:1], ports[1:], weights)
    path = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(path))
    return path


def test_every_text_output(
    xbarc: Run, hostile: Path, tmp_path: Path, npz: Callable[..., Path]
) -> None:
    program, data = tmp_path / "p.xbar", npz(x=np.ones((2, 4), np.float32))
    commands: list[tuple[object, ...]] = [
        ("compile", hostile, "-o", program),
        ("print", hostile),
        *((word, program) for word in ("report", "inspect", "print", "place", "verify")),
        *(("report", program, "--format", name) for name in ("json", "csv", "html")),
        *(
            ("report", program, program, "--format", name)
            for name in ("text", "csv", "json", "html")
        ),
        *(("inspect", program, "--layer", name) for name in NAMES),
        *(("inspect", program, "--layer", name, "--json") for name in NAMES),
        ("check", program, "--data", data, "--model", hostile),
        ("inspect", program, "--layer", "\x1b[2J"),
    ]
    for words in commands:
        done = xbarc(*words)
        assert done.code in (0, 2), (words, done.err)
        for line in (done.out + done.err).split("\n"):
            assert line.isprintable(), (words, line)
    for words in (("report", program), ("report", program, program)):
        page = xbarc(*words, "--format", "html").out
        assert page.count("<script") == 1  # our own, at the end
        assert page.index("<script") > page.rindex("</details>")
    for words in (("report", program), ("report", program, program)):
        table = csv.reader(io.StringIO(xbarc(*words, "--format", "csv").out))
        assert not [c for row in table for c in row if c.startswith(("=", "+2", "@"))]
    layers = json.loads(xbarc("report", program, "--format", "json").out)["layers"]
    assert [row["name"] for row in layers] == list(NAMES)


def test_names_of_outputs_stay_in_their_folder(xbarc: Run, tmp_path: Path) -> None:
    names = ("../../evil", "/abs/y", "..", "a\\..\\b", "C:/x", "ok/y:0", "n\x00m")
    nodes = [helper.make_node("Add", ["x", "x"], [name]) for name in names]
    ports = [helper.make_tensor_value_info(n, 1, [2]) for n in ("x", *names)]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, str(tmp_path / "net.onnx"))
    np.savez(tmp_path / "in.npz", x=np.ones(2, np.float32))
    program, out = tmp_path / "p.xbar", tmp_path / "out.npz"
    assert xbarc("compile", tmp_path / "net.onnx", "-o", program).code == 0
    done = xbarc("run", program, "--inputs", tmp_path / "in.npz", "--outputs", out)
    assert done.code == 0
    assert "note: '../../evil' is written as '__/__/evil'" in done.err
    with np.load(out) as found:
        assert sorted(found.files) == sorted(
            ["__/__/evil", "abs/y", "__", "a_.._b", "_/x", "ok/y:0", "n_x00m"]
        )
        assert all(np.array_equal(found[name], [2, 2]) for name in found.files)
