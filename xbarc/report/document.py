"""What a whole report is: a model that reads and writes JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """Base of whole reports; their parts are rows."""

    # Not strict, unlike targets: what JSON reads back as a list was a tuple.
    model_config = ConfigDict(frozen=True, extra="forbid")
