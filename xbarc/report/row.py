"""The base of a report's parts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """Base of every part of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")
