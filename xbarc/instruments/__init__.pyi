from .channels import FloatModel, channel_statistics
from .chip_sums import ChipSums
from .column_sums import SumCounter
from .comparisons import comparison_sums, pooled_bits, sum_shift
from .moments import Feed, InputMoments, second_moments
from .operands import operand_statistics
from .probe import Met, probe_layers
from .ranges import range_statistics
from .samples import sample_vectors
from .sum_counts import ConversionSums, count_sums
from .sum_samples import sampled_sums

__all__ = [
    "ChipSums",
    "ConversionSums",
    "Feed",
    "FloatModel",
    "InputMoments",
    "Met",
    "SumCounter",
    "channel_statistics",
    "comparison_sums",
    "count_sums",
    "operand_statistics",
    "pooled_bits",
    "probe_layers",
    "range_statistics",
    "sample_vectors",
    "sampled_sums",
    "second_moments",
    "sum_shift",
]
