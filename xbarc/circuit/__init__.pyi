from .chip import Chip, bitlines, blocks_by_array
from .devices import (
    CellModel,
    DeviceModel,
    count_numbers,
    device_origin,
    draw_numbers,
    load_device,
    program_cells,
)
from .effects import KINDS, Effects, adc_noise, cell_model, names_of
from .equal_cells import far_losses, line_ratio
from .faults import FaultMap, program_faults, random_faults
from .layer_matrix import Importance, column_shares, real_weights, weight_error
from .lines import TOLERANCE
from .random import WORDS, raw_words, stream_of
from .written_rows import layer_cells

__all__ = [
    "KINDS",
    "TOLERANCE",
    "WORDS",
    "CellModel",
    "Chip",
    "DeviceModel",
    "Effects",
    "FaultMap",
    "Importance",
    "adc_noise",
    "bitlines",
    "blocks_by_array",
    "cell_model",
    "column_shares",
    "count_numbers",
    "device_origin",
    "draw_numbers",
    "far_losses",
    "layer_cells",
    "line_ratio",
    "load_device",
    "names_of",
    "program_cells",
    "program_faults",
    "random_faults",
    "raw_words",
    "real_weights",
    "stream_of",
    "weight_error",
]
