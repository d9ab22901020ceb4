"""Models written back: a split network for a trainer, and the classifier that follows it."""

from xbarc.frontend.export.classifier import read_classifier, with_classifier, with_features
from xbarc.frontend.export.split_export import read_split, split_model

__all__ = ["read_classifier", "read_split", "split_model", "with_classifier", "with_features"]
