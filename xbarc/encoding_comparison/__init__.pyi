from .compare import Sharing, compare, weight_error
from .comparison import Comparison, EncodingRow, NoiseRow, NoiseSettings, Variant

__all__ = [
    "Comparison",
    "EncodingRow",
    "NoiseRow",
    "NoiseSettings",
    "Sharing",
    "Variant",
    "compare",
    "weight_error",
]
