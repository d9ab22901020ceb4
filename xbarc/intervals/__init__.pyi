from .bounds import Bounds, along, bounds_of_type, from_array
from .fragment import fragment_bounds

__all__ = [
    "Bounds",
    "along",
    "bounds_of_type",
    "fragment_bounds",
    "from_array",
]
