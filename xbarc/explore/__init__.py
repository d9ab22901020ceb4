"""Explore designs: a study of knobs and objectives, most of it with a proof instead of a run.

import xbarc.explore as xe
study = xe.read_study("study.toml")
result = xe.explore(study, store="study.db", jobs=4)
result.front
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
