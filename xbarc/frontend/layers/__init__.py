"""Recognisers of matrix operators, what they share, and what is folded into their layers."""

from xbarc.frontend.layers.blockwise_scales import cut_sums
from xbarc.frontend.layers.convolutions import (
    match_conv,
    match_conv_integer,
    match_conv_transpose,
    match_qlinear_conv,
)
from xbarc.frontend.layers.fold import fold_followers
from xbarc.frontend.layers.graph_context import GraphContext, Matched, StaysDigital, argument
from xbarc.frontend.layers.products import (
    match_gemm,
    match_matmul,
    match_matmul_integer,
    match_qgemm,
    match_qlinear_matmul,
)
from xbarc.frontend.layers.result_scales import frozen_copy

__all__ = [
    "GraphContext",
    "Matched",
    "StaysDigital",
    "argument",
    "cut_sums",
    "fold_followers",
    "frozen_copy",
    "match_conv",
    "match_conv_integer",
    "match_conv_transpose",
    "match_gemm",
    "match_matmul",
    "match_matmul_integer",
    "match_qgemm",
    "match_qlinear_conv",
    "match_qlinear_matmul",
]
