"""ONNX Runtime behind one typed wrapper, and how much memory a fragment takes in it.

The one room beside the frontend and `onnx_graph` that sees ONNX: a fragment is ONNX by definition,
whoever asks something about one asks here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
