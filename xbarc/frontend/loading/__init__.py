"""Files become models: loaded, checked as hostile, with their tensors and external data."""

from xbarc.frontend.loading.load import BROKEN, LoadedModel, load_model, reason
from xbarc.frontend.loading.tensors import element_count, tensor_array, tensor_bytes

__all__ = [
    "BROKEN",
    "LoadedModel",
    "element_count",
    "load_model",
    "reason",
    "tensor_array",
    "tensor_bytes",
]
