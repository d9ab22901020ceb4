"""Make the pictures of `README.md` and of the landing page: `python docs/pictures.py`.

Each is what a command draws: the page of `xbarc view` as Chromium shows it, tile maps of
`xbarc inspect --png`, and the energy by component of `xbarc report --format html`. The last one,
`reference/wires-study.svg`, is from `xbarc study lines --picture`.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import xbarc

ROOT = Path(__file__).resolve().parents[1]
OUT = Path(__file__).resolve().parent / "pictures"
VIEW = "#layer=conv4&array=7&row=70&bitline=58&show=level&colour=energy&zoom=22"


def main() -> None:
    """Compile the example and draw it."""
    models = ROOT / "models"
    data = dict(np.load(models / "fashion-calibration-256.npz"))
    made = xbarc.compile(models / "fashion-vgg.onnx", target="rram128", calibration=data)
    OUT.mkdir(exist_ok=True)
    made.tile_map("conv4", block=(0, 0)).save(OUT / "tile-map.png")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        made.view(page)
        photograph(page.as_uri() + VIEW, Path(folder), OUT / "view.png")
    made.report().plot("energy").save(OUT / "energy.svg")


def photograph(url: str, folder: Path, out: Path) -> None:
    """The page as a browser shows it, narrow enough to be read at 700 pixels."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        print(f"no chromium: {out.name} stays as it is")
        return
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
    size = ("--window-size=1010,800", "--virtual-time-budget=20000", f"--user-data-dir={folder}")
    subprocess.run([browser, *flags, *size, f"--screenshot={out}", url], check=True, timeout=120)  # noqa: S603


if __name__ == "__main__":
    main()
