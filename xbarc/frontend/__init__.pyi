from .binary import BinaryOptions
from .export import read_classifier, read_split, split_model, with_classifier, with_features
from .reader import fixed_feeds, read_network, runnable_model, source_digest

__all__ = [
    "BinaryOptions",
    "fixed_feeds",
    "read_classifier",
    "read_network",
    "read_split",
    "runnable_model",
    "source_digest",
    "split_model",
    "with_classifier",
    "with_features",
]
