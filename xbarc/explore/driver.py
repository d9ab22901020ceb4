"""The loop of a study: propose designs, price them, judge the classes that can still win."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import tee

import numpy as np

from xbarc.errors import InputError, WorkerError, XbarcError
from xbarc.explore.attempts import try_each
from xbarc.explore.batches import Batch, Batches, price_batch
from xbarc.explore.candidates import EqualClass, ResultKeys, TriedDesign
from xbarc.explore.front import on_front
from xbarc.explore.goals import Figures, read_goals
from xbarc.explore.judging import join_answers, judge
from xbarc.explore.knobs import Design, Knob, count_designs, settings_of
from xbarc.explore.recipe import Recipe, make_recipe
from xbarc.explore.samplers import choose_sampler, neighbours
from xbarc.explore.store import Store
from xbarc.explore.study import Study
from xbarc.explore.tournament import Tournament
from xbarc.explore.work import (
    Answers,
    Conditions,
    DesignCosts,
    Question,
    answer,
    forget_other_files,
    load_samples,
)
from xbarc.ir import check_labels, labels_in
from xbarc.workers import WorkerMap, lanes_of

Progress = Callable[[str, int, int], None]

# Samples of one question: a worker answers them in seconds, and an interruption loses no more.
_SAMPLES = 256

# Rounds of neighbours that are looked at behind a sampler: each follows the front a step further,
# and few change it after the third.
_ROUNDS = 3


class Explorer:
    """One run of a study.

    Args:
        study: what is asked.
        store: where results are kept.
        share: who does the work.
        progress: told what is done, its number and the count.
    """

    def __init__(
        self, study: Study, store: Store, share: WorkerMap, progress: Progress | None = None
    ) -> None:
        self.study, self.goals = study, read_goals(study)
        self.knobs: tuple[Knob, ...] = study.variables()
        self._fixed = study.settings()
        self.classes: dict[tuple[str, ...], EqualClass] = {}
        self.candidates: dict[Design, TriedDesign] = {}
        self.executed = 0
        self._store, self._share = store, share
        # Who has a program: the lane of the worker that priced it.
        self._lanes: dict[str, int] = {}
        self._tell = progress or (lambda *_: None)
        search = study.search
        self.conditions = Conditions(study.data, search.kinds, search.seed, search.seed)
        self._end = None if search.budget is None else time.monotonic() + 3600 * search.budget
        self._keys = ResultKeys(study)
        forget_other_files(self._keys.files)
        self._tournament = Tournament(self.goals, self.classes)
        self.rungs = self._find_rungs()

    def _find_rungs(self) -> tuple[int, ...]:
        """Samples that are answered, rung after rung."""
        if not self.goals.judged:
            return ()
        if self.study.data is None:
            raise InputError(
                f"{', '.join(sorted(self.goals.judged))} need samples",
                where="study",
                hint="data = DATA.npz, or objectives that only count costs",
            )
        data, order = load_samples(self.study.data, self.study.search.seed)
        # Told now: what is wrong with the data is no design's fault.
        labels = data.get(labels_in(data))
        if labels is not None:
            check_labels(labels, (len(order),), str(self.study.data))
        elif "top1" in self.goals.judged:
            raise InputError(
                "top1 needs an array `labels`",
                where=str(self.study.data),
                hint="agreement and sqnr_db need none: they compare with the float model",
            )
        counts = [len(order) if n == "all" else n for n in self.study.search.images]
        return tuple(sorted({min(count, len(order)) for count in counts}))

    def run(self) -> None:
        """Look at designs until the sampler has no more, or time is over."""
        # First: it says what is missing, or too much.
        sampler = choose_sampler(self.study.search, self.knobs, len(self.goals.names))
        self._look_at([()])  # the target as it is, which every table compares with
        while not self._is_late():
            designs = sampler.ask()
            if not designs:
                break
            self._look_at(designs)
            for design in designs:
                if design in self.candidates:
                    sampler.tell(design, self._told(self.candidates[design]))
        if len(self.candidates) - 1 < count_designs(self.knobs):
            self._look_round()

    def _look_round(self) -> None:
        """Look at the neighbours of the front, as far as designs are left to look at."""
        most = self.study.search.designs
        for _ in range(_ROUNDS):
            front = [item for item in self.front() if item.design]
            near = dict.fromkeys(
                found for item in front for found in neighbours(self.knobs, item.design)
            )
            new = [design for design in near if design not in self.candidates]
            if most is not None:
                new = new[: max(0, most - len(self.candidates) + 1)]
            if not new or self._is_late():
                return
            self._look_at(new)

    def _is_late(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end

    def _told(self, item: TriedDesign) -> list[float] | None:
        values = self.values_of(item)
        return (
            None if item.broken or item.error or item.failed or np.isnan(values).any() else values
        )

    def _look_at(self, designs: Sequence[Design]) -> None:
        """Price designs, all of them first; then judge those that can win."""
        new = list(self._price(designs))
        for item in new:
            self.candidates[item.design] = item
            if item.error:
                continue
            item.broken = tuple(self.goals.broken([one.totals for one in item.priced], ()))
            made = self.classes.setdefault(item.key, EqualClass(item.recipes))
            made.members.append(item)
            item.failed = made.failed
        self._judge({item.key for item in new if not item.error and not item.broken})

    def _recipes(self, design: Design) -> tuple[Recipe, ...]:
        study = self.study
        settings = {**self._fixed, **(settings_of(self.knobs, design) if design else {})}
        return tuple(
            make_recipe(model, study.calibrate, study.target, settings) for model in study.models
        )

    def _price(self, designs: Sequence[Design]) -> Iterator[TriedDesign]:
        items = [TriedDesign(design, self._recipes(design)) for design in designs]
        known: dict[str, DesignCosts] = {}
        keys = [[self._key_of(recipe, known) for recipe in item.recipes] for item in items]
        missing: dict[str, Recipe] = {}
        for item, own in zip(items, keys, strict=True):
            for recipe, key in zip(item.recipes, own, strict=True):
                found = known.get(key) or self._store.priced(key)
                if found is not None:
                    known[key] = found
                else:
                    missing[key] = recipe
        known |= self._price_missing(missing)
        for item, own in zip(items, keys, strict=True):
            if all(key in known for key in own):  # the others come after the end
                item.priced = tuple(known[key] for key in own)
                yield item

    def _price_missing(self, missing: Mapping[str, Recipe]) -> dict[str, DesignCosts]:
        """Costs of designs that nobody has priced, by key; as far as there is time."""
        known: dict[str, DesignCosts] = {}
        batches = Batches(missing, lanes_of(self._share))
        for batch, costs in self._price_batches(self._until_late(batches)):
            batches.learn(costs)
            for key, recipe, one in zip(batch.keys, batch.recipes, costs, strict=True):
                # A machine with more memory may price what is lost here.
                if not one.lost:
                    self._store.put_priced(key, one)
                known[key] = one
                self._lanes[repr(recipe)] = batch.lane
            self._tell("designs priced", len(known), len(missing))
        return known

    def _price_batches(
        self, batches: Iterable[Batch]
    ) -> Iterator[tuple[Batch, Sequence[DesignCosts]]]:
        """Costs of batches in their order; a design at which workers die has none."""
        price = partial(price_batch, self._asked_of_workers())
        batches, asked = tee(batches)
        for batch, costs in zip(batches, try_each(self._share, price, asked), strict=False):
            if not isinstance(costs, WorkerError):
                yield batch, costs
                continue
            singles = [
                replace(batch, keys=(key,), recipes=(recipe,))
                for key, recipe in zip(batch.keys, batch.recipes, strict=True)
            ]
            alone = try_each(self._share, price, singles)
            for single, one in zip(singles, alone, strict=True):
                if isinstance(one, WorkerError):
                    yield single, [DesignCosts(error=str(one), lost=True)]
                else:
                    yield single, one

    def _asked_of_workers(self) -> Conditions:
        """Conditions, and the files as they are now that all designs at hand have been read."""
        return replace(self.conditions, files=self._keys.files)

    def _key_of(self, recipe: Recipe, known: dict[str, DesignCosts]) -> str:
        """The digest of a design's costs; where it has none, why is known at once."""
        try:
            return self._keys.priced(recipe, self.conditions)
        except XbarcError as error:
            known[recipe.command()] = DesignCosts(error=str(error))
            return recipe.command()

    def _until_late(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            if self._is_late():
                return
            yield batch

    def _judge(self, fresh: set[tuple[str, ...]]) -> None:
        """Answer rung after rung; after each, give up what cannot win."""
        for count in self.rungs:
            alive = [key for key in fresh if self.classes[key].is_open]
            # The order of keys is that of digests, the same on every machine.
            self._answer(sorted(alive), count)
            if count != self.rungs[-1]:
                self._tournament.give_up(count)
        for made in self.classes.values():
            self._check_judged(made)

    def _answer(self, keys: Sequence[tuple[str, ...]], count: int) -> None:
        """Bring classes to this number of samples."""
        asked: list[tuple[tuple[str, ...], int, Question]] = []
        for number, key in enumerate(keys):
            made = self.classes[key]
            for place, recipe in enumerate(made.recipes):
                lane = self._lanes.get(repr(recipe), number)
                for chip in range(self._chips()):
                    for first in range(made.samples, count, _SAMPLES):
                        last = min(count, first + _SAMPLES)
                        asked.append((key, place, Question(recipe, first, last, chip, lane)))
        found = self._ask([(key[place], question) for key, place, question in asked])
        grown: dict[tuple[str, ...], dict[tuple[int, int], list[Answers]]] = {}
        for (key, place, question), one in zip(asked, found, strict=True):
            grown.setdefault(key, {}).setdefault((place, question.chip), []).append(one)
        for key, parts in grown.items():
            self._take_in(self.classes[key], parts, count)

    def _take_in(
        self, made: EqualClass, parts: Mapping[tuple[int, int], Sequence[Answers]], count: int
    ) -> None:
        """Join what a class says of more samples, by model and chip, with what it said before."""
        made.fail(one.failed for more in parts.values() for one in more)
        if made.failed:
            return
        for where, more in parts.items():
            known = made.answers.get(where)
            made.answers[where] = join_answers([*([] if known is None else [known]), *more])
        made.judged = tuple(
            judge([made.answers[place, chip] for chip in range(self._chips())])
            for place in range(len(made.recipes))
        )
        made.samples = count

    def _ask(self, asked: Sequence[tuple[str, Question]]) -> list[Answers]:
        """Answers from the store, or from workers."""
        keys = [self._keys.answers(digest, one, self.conditions) for digest, one in asked]
        found: list[Answers | None] = [
            self._store.answers(key, question.first, question.last)
            for key, (_, question) in zip(keys, asked, strict=True)
        ]
        left = [number for number, one in enumerate(found) if one is None]
        ask = partial(answer, self._asked_of_workers())
        work = try_each(self._share, ask, [asked[n][1] for n in left])
        for done, (number, said) in enumerate(zip(left, work, strict=True)):
            one = Answers.failing(str(said)) if isinstance(said, WorkerError) else said
            if not one.failed:
                self._store.put_answers(keys[number], asked[number][1].first, one)
            found[number] = one
            self.executed += len(one.classes)
            self._tell("samples answered", done + 1, len(left))
        return [one for one in found if one is not None]

    def _chips(self) -> int:
        return self.study.search.seeds if self.conditions.kinds else 1

    def _check_judged(self, made: EqualClass) -> None:
        """Constraints on what samples say, once all of them are answered."""
        if made.failed or not made.judged or made.samples < self.rungs[-1]:
            return
        floats = [one.floats for one in made.judged]
        broken = self.goals.broken([one.figures for one in made.judged], floats)
        for item in made.members:
            item.broken = tuple(dict.fromkeys((*item.broken, *broken)))

    def figures_of(self, item: TriedDesign) -> list[Figures]:
        """All that is known of a design, one mapping a model."""
        if item.error:
            return []
        made = self.classes[item.key]
        judged = () if made.failed else made.judged
        said: Sequence[Figures] = [one.figures for one in judged] or [{}] * len(item.priced)
        return [{**one.totals, **more} for one, more in zip(item.priced, said, strict=True)]

    def values_of(self, item: TriedDesign) -> list[float]:
        """Its objectives, less is better; NaN where one is unknown."""
        figures = self.figures_of(item)
        return self.goals.values(figures) if figures else [float("nan")] * len(self.goals.names)

    def is_whole(self, item: TriedDesign) -> bool:
        """Whether all that the study asks of a design is known."""
        return not (item.error or item.failed) and (
            not self.rungs or self.classes[item.key].samples >= self.rungs[-1]
        )

    def front(self) -> list[TriedDesign]:
        """Designs that meet all constraints, and of which no other is better at everything."""
        good = [i for i in self.candidates.values() if self.is_whole(i) and not i.broken]
        if not good:
            return []
        values = np.array([self.values_of(item) for item in good])
        return [item for item, kept in zip(good, on_front(values), strict=True) if kept]
