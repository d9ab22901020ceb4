"""Layers between two-valued tensors: thresholds in place of Sign, and pools that take bits."""

from xbarc.frontend.binary.binary_layers import BinaryOptions, binarise, is_binary
from xbarc.frontend.binary.levels import LevelMap

__all__ = ["BinaryOptions", "LevelMap", "binarise", "is_binary"]
