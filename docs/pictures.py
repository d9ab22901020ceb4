"""Make the pictures of `README.md` and of the landing page: `python docs/pictures.py`.

Each is what a command draws: the tile map of `xbarc inspect --png`, and the energy by component of
`xbarc report --format html`. The third one, `reference/wires-study.svg`, is from
`xbarc study lines --picture`.
"""

import re
from pathlib import Path

import numpy as np

import xbarc
from xbarc.report import find_layer, layer_picture, png_bytes

ROOT = Path(__file__).resolve().parents[1]
OUT = Path(__file__).resolve().parent / "pictures"
# A drawing of the report page takes font, colours and background from the page around it.
_STYLE = 'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12"'
_COLOURS = {"--pale": "#d0d4dc", "--text": "#1f2430", "--ink": "#1f2430"}


def main() -> None:
    """Compile the example and draw it."""
    models = ROOT / "models"
    data = dict(np.load(models / "fashion-calibration-256.npz"))
    made = xbarc.compile(models / "fashion-vgg.onnx", target="rram128", calibration=data)
    OUT.mkdir(exist_ok=True)
    picture = layer_picture(find_layer(made.program, "conv4"))
    (OUT / "tile-map.png").write_bytes(png_bytes(picture))
    energy = next(one for one in made.report().pictures() if "Energy by component" in one)
    (OUT / "energy.svg").write_text(alone(energy), encoding="utf-8")


def alone(drawing: str) -> str:
    """A drawing of a page as a file that needs no page."""
    svg = drawing[drawing.index("<svg") :].strip()
    svg = svg.replace("<svg", f"<svg {_STYLE}", 1)
    svg = re.sub(
        r"(<svg[^>]*>)", r'\1<rect width="100%" height="100%" fill="white"/>', svg, count=1
    )
    return re.sub(r"var\((--\w+)\)", lambda found: _COLOURS.get(found[1], "#1f2430"), svg) + "\n"


if __name__ == "__main__":
    main()
