from .bounds import Bounds, along, anything, from_array
from .fragment import fragment_bounds

__all__ = [
    "Bounds",
    "along",
    "anything",
    "fragment_bounds",
    "from_array",
]
