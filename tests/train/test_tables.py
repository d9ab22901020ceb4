"""The benchmark of training: which rows it runs, and what it makes of them."""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import activity, training
from benchmarks.training_cases import CASES, TABLES


def _row(**changed: object) -> training.Row:
    given = {
        "case": "converters",
        "net": "fashion-mlp",
        "seed": 0,
        "train": 55_000,
        "epochs": 5,
        "batch": 128,
        "images": 10_000,
        "float_top1": 90.0,
        "lossless": 89.5,
        "mapped": 80.0,
        "trained": 88.5,
        "seconds": 10.0,
    }
    return training.Row(**given | changed)  # type: ignore[arg-type]


def test_tables_name_cases_that_there_are_and_load_their_targets() -> None:
    for plans in TABLES.values():
        for plan in plans:
            for case in plan.cases:
                target = CASES[case].load_target(0.1)
                assert not CASES[case].cell_bits or target.cell.bits == CASES[case].cell_bits
                assert CASES[case].reference.is_lossless


def test_a_row_of_the_log_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, made = tmp_path / "log", []
    data = training.Data(lambda count, _: {"labels": range(count)}, {}, {})  # type: ignore[dict-item]
    monkeypatch.setattr(training, "data_of", lambda _: data)

    def train(run: training.Run, data: training.Data) -> training.Row:
        del data
        made.append((run.case, run.net, run.seed))
        if len(made) == 3:
            raise KeyboardInterrupt
        plan = run.plan
        return _row(
            case=run.case,
            net=run.net,
            seed=run.seed,
            train=plan.train,
            epochs=plan.epochs,
            batch=plan.batch,
            cell_rate=plan.cell_rate,
            digital_rate=plan.digital_rate,
        )

    monkeypatch.setattr(training.Run, "training", train)
    asked = ["cells", "--nets", "fashion-mlp", "--cases", "acm-1", "--log", str(log)]
    asked += ["--seeds", "0", "1", "2", "3"]
    with pytest.raises(KeyboardInterrupt):
        training.main(asked)
    assert len(training.read_log(log)) == 2
    assert training.main(asked) == 0
    assert [seed for _, _, seed in made] == [0, 1, 2, 2, 3]
    assert training.main([*asked, "--epochs", "9"]) == 0  # another run altogether
    assert len(training.read_log(log)) == 8


def test_seeds_are_joined_in_a_line_and_other_lengths_are_not(tmp_path: Path) -> None:
    rows = [_row(), _row(seed=1, trained=89.0), _row(epochs=9, trained=89.5)]
    log = tmp_path / "log"
    log.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    lines = training.markdown(training.read_log(log)).splitlines()
    assert len(lines) == 4
    assert "| 88.75 | 1.25 (1.00 to 1.50) | 0.75 (0.50 to 1.00) |" in lines[2]
    assert "| 89.50 | 0.50 | 0.00 |" in lines[3]
    assert len({line.count("|") for line in lines}) == 1


def test_chips_and_widths_are_told_where_there_are_any() -> None:
    noisy = _row(case="noise-2-10", noisy={"0.1": [85.0, 80.0, 87.0, 84.0]})
    assert "20 chips at 10 %: mapped 85.00, worst 80.00; trained 87.00, worst 84.00" in (
        training.markdown([noisy])
    )
    scratch = training.markdown([_row(case="acm-1-scratch", mapped=9.0)])
    assert "| 90.00 |  |  | 88.50 | 1.50 |  |" in scratch
    narrow = _row(case="energy-64", widths={"D.U.B.": [7.0, 128.0, 5.0, 32.0]})
    assert "D.U.B.: b 7.00 to 5.00, 2**b 128.0 to 32.0" in training.markdown([narrow])


def test_a_pickle_of_anything_else_is_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match="no business"):
        activity._OnlyArrays(io.BytesIO(pickle.dumps(print))).load()


@pytest.mark.slow
@pytest.mark.data
def test_a_row_is_measured(tmp_path: Path) -> None:
    log = tmp_path / "log"
    asked = ["--cases", "noise-2-10", "--train", "500", "--epochs", "1", "--images", "100"]
    assert training.main([*asked, "--log", str(log)]) == 0
    (row,) = training.read_log(log)
    assert row.lossless == row.mapped
    assert row.float_top1 > 80
    assert row.trained > 75
    assert 0 < row.noisy["0.1"][1] <= row.noisy["0.1"][0]
    assert 0 < row.noisy["0.1"][3] <= row.noisy["0.1"][2]
