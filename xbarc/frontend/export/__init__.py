"""Programs written back as models: runnable anywhere, for a trainer, and with their mapping."""

from xbarc.frontend.export.annotations import annotated_model
from xbarc.frontend.export.classifier import read_classifier, with_classifier, with_features
from xbarc.frontend.export.program_export import CARRIED_SETTING, program_model, read_carried
from xbarc.frontend.export.split_export import read_split

__all__ = [
    "CARRIED_SETTING",
    "annotated_model",
    "program_model",
    "read_carried",
    "read_classifier",
    "read_split",
    "with_classifier",
    "with_features",
]
