"""Run the commands that the pages show and keep what they print under `transcripts/`.

    python docs/transcripts.py             # all of them
    python docs/transcripts.py compile     # only these, which may need earlier ones

The pages include these files, and `README.md` gets a tour made of some of them, so what is shown is
always the output of a real run.
Commands run one after another in a folder that sees `models` as the root of the repository does.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = Path(__file__).resolve().parent / "transcripts"
WIDTH = "112"


@dataclass(frozen=True)
class Run:
    """One command and the part of its output that a page shows.

    Attributes:
        first: line that the shown part starts with; the whole output by default.
        until: line in front of which it ends.
        lines: most lines that are shown.
        code: the exit code that is expected.
    """

    name: str
    command: str
    first: str = ""
    until: str = ""
    lines: int = 10_000
    code: int = 0


RUNS = (
    Run(
        "compile",
        "xbarc compile models/fashion-vgg.onnx"
        " --calibrate models/fashion-calibration-256.npz -o fashion-vgg.xbar",
    ),
    Run("check", "xbarc check fashion-vgg.xbar --data models/fashion-test-1000.npz"),
    Run("verify", "xbarc verify fashion-vgg.xbar"),
    Run("inspect-layer", "xbarc inspect fashion-vgg.xbar --layer conv4"),
    Run("inspect-block", "xbarc inspect fashion-vgg.xbar --layer conv4 --block 2,0"),
    Run("inspect-weight", "xbarc inspect fashion-vgg.xbar --layer conv4 --weight 12,5,1,2"),
    Run(
        "report-layer",
        "xbarc report fashion-vgg.xbar --layer conv4",
        until="Area by component",
    ),
    Run("report", "xbarc report fashion-vgg.xbar", until="Energy per inference by component"),
    Run(
        "report-energy",
        "xbarc report fashion-vgg.xbar",
        first="Energy per inference",
        until="One whole chip",
    ),
    Run("report-csv", "xbarc report fashion-vgg.xbar --format csv", lines=3),
    Run("report-notes", "xbarc report fashion-vgg.xbar", first="Notes"),
    Run("print", "xbarc print models/fashion-mlp.onnx"),
    Run("targets", "xbarc targets list"),
    Run("wrong-target", "xbarc compile models/fashion-mlp.onnx --set array.row=64", code=2),
    Run("narrow-adc", "xbarc compile models/fashion-mlp.onnx --set adc.max_bits=4", code=2),
    Run("no-encoding", "xbarc compile models/fashion-mlp.onnx --encoding morse", code=2),
)


TOUR = ("compile", "check", "verify")
BEGIN, END = "<!-- tour: begin, written by docs/transcripts.py -->", "<!-- tour: end -->"


def main() -> int:
    """Run everything; stops at the first command that ends otherwise than expected."""
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("models", "targets"):
            (Path(folder) / name).symlink_to(ROOT / name)
        for run in [run for run in RUNS if run.name in (sys.argv[1:] or [run.name])]:
            text = _run(run, Path(folder))
            (OUT / f"{run.name}.txt").write_text(text, encoding="utf-8")
            print(f"{run.name}: {len(text.splitlines())} lines")
    _write_tour(ROOT / "README.md")
    return 0


def _write_tour(readme: Path) -> None:
    """Put the transcripts of the tour between its two marks."""
    parts = []
    for name in TOUR:
        text = (OUT / f"{name}.txt").read_text(encoding="utf-8")
        shown = text.split("\nLayers, with errors")[0].rstrip()
        parts.append(f"```console\n{shown}\n```")
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    tour = "\n\n".join(parts)
    readme.write_text(f"{before}{BEGIN}\n\n{tour}\n\n{END}{after}", encoding="utf-8")


def _run(run: Run, folder: Path) -> str:
    words = run.command.split()
    tool = Path(sys.executable).parent / words[0]
    words[0] = str(tool) if tool.exists() else shutil.which(words[0]) or words[0]
    done = subprocess.run(  # noqa: S603  # the commands above, and no others
        words,
        check=False,
        cwd=folder,
        env={**os.environ, "COLUMNS": WIDTH},
        capture_output=True,
        text=True,
    )
    if done.returncode != run.code:
        sys.exit(f"{run.command}\nexit code {done.returncode}, expected {run.code}\n{done.stderr}")
    lines = [line.rstrip() for line in (done.stdout + done.stderr).strip("\n").splitlines()]
    return "\n".join([f"$ {run.command}", *_shown(lines, run)]) + "\n"


def _shown(lines: list[str], run: Run) -> list[str]:
    start = next((i for i, line in enumerate(lines) if line.startswith(run.first)), 0)
    end = len(lines)
    if run.until:
        end = next((i for i, line in enumerate(lines) if line.startswith(run.until)), end)
    shown = lines[start:end][: run.lines]
    while shown and not shown[-1]:
        shown.pop()
    cut = end - start > run.lines or end < len(lines) or start > 0
    return [*shown, *(["..."] if cut else [])]


if __name__ == "__main__":
    sys.exit(main())
