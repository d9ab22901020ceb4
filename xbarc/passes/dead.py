"""Dropping what nobody reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from xbarc.ir.network import Layer, Network, layer_inputs, layer_outputs
from xbarc.pipeline import Pass


@dataclass(frozen=True)
class RemoveDeadLayers(Pass[Network]):
    """Drop layers whose outputs nobody reads."""

    name = "remove-dead-layers"

    def run(self, subject: Network) -> Network:
        """The same network when every layer is read."""
        needed = {value.name for value in subject.outputs}
        kept: list[Layer] = []
        for layer in reversed(subject.layers):
            if needed.intersection(layer_outputs(layer)):
                kept.append(layer)
                needed.update(layer_inputs(layer))
        if len(kept) == len(subject.layers):
            return subject
        return replace(subject, layers=tuple(reversed(kept)))
