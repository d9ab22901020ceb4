from .binary import BinaryOptions
from .export import (
    CARRIED_SETTING,
    annotated_model,
    program_model,
    read_carried,
    read_classifier,
    read_split,
    with_classifier,
    with_features,
)
from .reader import fixed_feeds, read_network, runnable_model, source_digest
from .sample_networks import write_sample_networks

__all__ = [
    "CARRIED_SETTING",
    "BinaryOptions",
    "annotated_model",
    "fixed_feeds",
    "program_model",
    "read_carried",
    "read_classifier",
    "read_network",
    "read_split",
    "runnable_model",
    "source_digest",
    "with_classifier",
    "with_features",
    "write_sample_networks",
]
