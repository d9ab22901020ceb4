from .adc import saturates
from .analog import AnalogLayer
from .batches import (
    Data,
    LabelledBatch,
    calibration_batches,
    calibration_labels,
    check_data,
    fill_batch,
    labelled_batches,
    split_batches,
)
from .byte_ops import HAS_SHUFFLE
from .exact import ExactLayer, layer_vectors, real_codes
from .fast import CollapsedLayer, FastLayer
from .lanes import DIGIT_BITS, LANES
from .layer import Accumulate, LayerFrame, run_layer
from .noise import Noise
from .plain import PlainLayer
from .reference import ReferenceLayer
from .run import Engine, Executor, StepRunner, check_feeds, chip_layer, layer_engine, layer_frame
from .saturating import SaturatingLayer, fits_lookup
from .senses import driven_rows
from .sliced import SlicedLayer
from .tap import Tap
from .unconverted import UnconvertedLayer
from .vectors import sample_axis_first, scatter_space, stack_axes, stack_index
from .walk import Values, Walk, run_steps
from .windows import block_extent, gather, window_blocks

__all__ = [
    "DIGIT_BITS",
    "HAS_SHUFFLE",
    "LANES",
    "Accumulate",
    "AnalogLayer",
    "CollapsedLayer",
    "Data",
    "Engine",
    "ExactLayer",
    "Executor",
    "FastLayer",
    "LabelledBatch",
    "LayerFrame",
    "Noise",
    "PlainLayer",
    "ReferenceLayer",
    "SaturatingLayer",
    "SlicedLayer",
    "StepRunner",
    "Tap",
    "UnconvertedLayer",
    "Values",
    "Walk",
    "block_extent",
    "calibration_batches",
    "calibration_labels",
    "check_data",
    "check_feeds",
    "chip_layer",
    "driven_rows",
    "fill_batch",
    "fits_lookup",
    "gather",
    "labelled_batches",
    "layer_engine",
    "layer_frame",
    "layer_vectors",
    "real_codes",
    "run_layer",
    "run_steps",
    "sample_axis_first",
    "saturates",
    "scatter_space",
    "split_batches",
    "stack_axes",
    "stack_index",
    "window_blocks",
]
