"""Designs that were looked at, classes of equal ones among them, and digests of results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from xbarc.errors import InputError, visible
from xbarc.explore.digests import code_digest
from xbarc.explore.judging import Judged
from xbarc.explore.knobs import FILES, Design
from xbarc.explore.recipe import Recipe
from xbarc.explore.study import Study
from xbarc.explore.work import Answers, Conditions, DesignCosts, Question
from xbarc.frontend import source_digest
from xbarc.numerics import digest_of
from xbarc.target import load_target


@dataclass(eq=False)
class TriedDesign:
    """A design that was looked at.

    Attributes:
        design: empty for the target as it is.
        recipes: one a model.
        priced: one a model.
        broken: constraints that are broken.
        given_up: samples after which it could not win; 0: it was judged to the end, or never.
        why_given_up: what was sure after these samples.
        failed: why it cannot run a sample; empty: it can, or never had to.
    """

    design: Design
    recipes: tuple[Recipe, ...]
    priced: tuple[DesignCosts, ...] = ()
    broken: tuple[str, ...] = ()
    given_up: int = 0
    why_given_up: str = ""
    failed: str = ""

    @property
    def error(self) -> str:
        """Why there is no program; empty: there is one on every model."""
        return next((one.error for one in self.priced if one.error), "")

    @property
    def is_open(self) -> bool:
        """Whether it can still win."""
        return not (self.error or self.failed or self.broken or self.given_up)

    @property
    def key(self) -> tuple[str, ...]:
        """Its class: the digest of what it computes on each model."""
        return tuple(one.digest for one in self.priced)


@dataclass(eq=False)
class EqualClass:
    """Designs with provably equal answers.

    Attributes:
        recipes: of the design that answers for all of them, one a model.
        members: all of them.
        answers: by number of the model and of the chip.
        judged: one a model; empty before any sample ran.
        samples: answered so far, on the model with the most data.
        failed: why its designs cannot run a sample; empty: they can.
    """

    recipes: tuple[Recipe, ...]
    members: list[TriedDesign] = field(default_factory=list)
    answers: dict[tuple[int, int], Answers] = field(default_factory=dict)
    judged: tuple[Judged, ...] = ()
    samples: int = 0
    failed: str = ""

    def fail(self, reasons: Iterable[str]) -> None:
        """Close it where a sample could not be run; what fails one of its designs fails all."""
        self.failed = next(filter(None, reasons), "")
        for item in self.members:
            item.failed = self.failed

    @property
    def is_open(self) -> bool:
        """Whether any of its designs can still win."""
        return any(item.is_open for item in self.members)


class ResultKeys:
    """Digests of exactly what a result is made from."""

    def __init__(self, study: Study) -> None:
        self._models = {model: source_digest(model) for model in study.models}
        self._files = {path: _file_digest(path) for path in (study.data, study.calibrate) if path}
        self._targets: dict[str, str] = {}
        self._code = code_digest()

    @property
    def files(self) -> str:
        """Digest of all files that were read so far, targets among them."""
        models = sorted((str(path), digest) for path, digest in self._models.items())
        others = sorted((str(path), digest) for path, digest in self._files.items())
        return digest_of("files", models, others, sorted(self._targets.items()))

    def priced(self, recipe: Recipe, conditions: Conditions) -> str:
        """Of what a design costs, and what it computes.

        Raises:
            XbarcError: the design names a target or a file that is not there.
        """
        if recipe.target not in self._targets:
            self._targets[recipe.target] = load_target(recipe.target).model_dump_json()
        data = None if recipe.calibrate is None else self._files[recipe.calibrate]
        made = (self._models[recipe.model], data, self._targets[recipe.target])
        told = (recipe.overrides, [[name, repr(value)] for name, value in recipe.options])
        read = (recipe.methods(), self._read_files(recipe))
        return digest_of("priced", self._code, made, told, read, bool(conditions.kinds))

    def _read_files(self, recipe: Recipe) -> list[str]:
        """Of the files that options name."""
        options, found = dict(recipe.options), []
        for name in FILES:
            value = options.get(name)
            path = Path(value) if isinstance(value, str) else None
            if path is None or not path.is_file():
                continue
            if path not in self._files:
                self._files[path] = _file_digest(path)
            found.append(self._files[path])
        return found

    def answers(self, digest: str, question: Question, conditions: Conditions) -> str:
        """Of what a class says of the data, beside the float model that it is compared with."""
        data = "" if conditions.data is None else self._files[conditions.data]
        drawn = (sorted(conditions.kinds), conditions.seed, question.chip)
        chip = drawn if conditions.kinds else ()
        # Two models may be one program: what a float model says is stored beside it.
        model = self._models[question.recipe.model]
        return digest_of("answers", self._code, digest, data, conditions.order, chip, model)


def _file_digest(path: Path) -> str:
    digest = digest_of()
    try:
        with path.open("rb") as file:
            for block in iter(partial(file.read, 1 << 20), b""):
                digest = digest_of(digest, block)
    except OSError as error:
        raise InputError(error.strerror or str(error), where=visible(str(path))) from error
    except ValueError as error:  # a name with a zero byte
        raise InputError(str(error), where=visible(str(path))) from error
    return digest
