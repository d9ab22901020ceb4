from .answer import DesignRow, StudyResult, result_of
from .cluster import cluster_map, slurm_map
from .driver import Explorer
from .figures import JUDGED, known_figures
from .front import hypervolume, on_front
from .knobs import count_designs
from .meaning import Meaning, meaning_of, same_meaning
from .page import render_page
from .run import explore
from .store import Store
from .study import Search, Study, make_study, read_study, read_value, vary
from .table import render_explanation, render_result

__all__ = [
    "JUDGED",
    "DesignRow",
    "Explorer",
    "Meaning",
    "Search",
    "Store",
    "Study",
    "StudyResult",
    "cluster_map",
    "count_designs",
    "explore",
    "hypervolume",
    "known_figures",
    "make_study",
    "meaning_of",
    "on_front",
    "read_study",
    "read_value",
    "render_explanation",
    "render_page",
    "render_result",
    "result_of",
    "same_meaning",
    "slurm_map",
    "vary",
]
