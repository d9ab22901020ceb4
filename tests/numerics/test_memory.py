"""Sizes that people write, and the machine's."""

from __future__ import annotations

import pytest

from xbarc.numerics.memory import limit_in_words, memory_limit, parse_size, show_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("512M", 512 << 20), ("8G", 8 << 30), ("1.5GiB", 3 << 29), (" 2 tb ", 2 << 40)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1G", "G", "8X", "1e9", "1..2", "nan", "9" * 40])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XBARC_MEMORY", raising=False)
    assert 1 << 28 < memory_limit() < 1 << 48
    assert limit_in_words() == f"this machine has {show_size(memory_limit())}"
    monkeypatch.setenv("XBARC_MEMORY", "3K")
    assert memory_limit() == 3072
    assert limit_in_words() == "the limit of --memory (XBARC_MEMORY) is 3.0 KiB"


def test_shown() -> None:
    assert [show_size(n) for n in (5, 1 << 10, 3 << 29, 1 << 61)] == [
        "5 bytes",
        "1.0 KiB",
        "1.5 GiB",
        "2,097,152.0 TiB",
    ]
