"""Converters: range, step and bits of the ADCs of a layer.

`adc` sizes them from the cells, `capped` where bits are limited, `calibrated` from histograms of
column sums, `one_adc` as one setting for all columns, `foreign` by a policy of other people.
`active_rows` trades bits against cycles, `width_costs` says what each width costs. A new policy
that ships with xbarc is a file here with a pure function from sums to settings.
"""

from xbarc.mapping.converters.active_rows import choose_rows
from xbarc.mapping.converters.adc import adc_settings, converter_keys, wide, with_gain
from xbarc.mapping.converters.calibrated import (
    Table,
    needed_bits,
    setting_table,
    settings_of,
    settings_with_bits,
    with_settings,
)
from xbarc.mapping.converters.foreign import (
    ConverterPolicy,
    ConverterSettings,
    ConverterSums,
    chosen_by,
    converters_origin,
    load_converters,
)
from xbarc.mapping.converters.knapsack import Picked, pick
from xbarc.mapping.converters.one_adc import SumHistogram, choose_adc, one_setting, sum_histogram
from xbarc.mapping.converters.width_costs import BOTH_LAWS, LEVELS, WidthCosts, costs_by_law

__all__ = [
    "BOTH_LAWS",
    "LEVELS",
    "ConverterPolicy",
    "ConverterSettings",
    "ConverterSums",
    "Picked",
    "SumHistogram",
    "Table",
    "WidthCosts",
    "adc_settings",
    "choose_adc",
    "choose_rows",
    "chosen_by",
    "converter_keys",
    "converters_origin",
    "costs_by_law",
    "load_converters",
    "needed_bits",
    "one_setting",
    "pick",
    "setting_table",
    "settings_of",
    "settings_with_bits",
    "sum_histogram",
    "wide",
    "with_gain",
    "with_settings",
]
