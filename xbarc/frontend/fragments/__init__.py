"""The digital rest between matrix layers: cut, typed by ONNX Runtime, kept exact."""

from xbarc.frontend.fragments.build_fragments import build_layers, relocate_error
from xbarc.frontend.fragments.partition import borders, cut
from xbarc.frontend.fragments.runtime_acceptance import runtime_refusal
from xbarc.frontend.fragments.saturation import widen_products

__all__ = ["borders", "build_layers", "cut", "relocate_error", "runtime_refusal", "widen_products"]
