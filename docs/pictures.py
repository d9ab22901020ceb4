"""Make the pictures of `README.md` and of the landing page: `python docs/pictures.py`.

Each is what a command draws: the tile map of `xbarc inspect --png`, and the energy by component of
`xbarc report --format html`. The third one, `reference/wires-study.svg`, is from
`xbarc study lines --picture`.
"""

from pathlib import Path

import numpy as np

import xbarc
from xbarc.report import find_layer, layer_picture, png_bytes

ROOT = Path(__file__).resolve().parents[1]
OUT = Path(__file__).resolve().parent / "pictures"


def main() -> None:
    """Compile the example and draw it."""
    models = ROOT / "models"
    data = dict(np.load(models / "fashion-calibration-256.npz"))
    made = xbarc.compile(models / "fashion-vgg.onnx", target="rram128", calibration=data)
    OUT.mkdir(exist_ok=True)
    picture = layer_picture(find_layer(made.program, "conv4"))
    (OUT / "tile-map.png").write_bytes(png_bytes(picture))
    made.report().plot("energy").save(OUT / "energy.svg")


if __name__ == "__main__":
    main()
