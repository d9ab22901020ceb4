"""Dropping what nobody reads."""

from __future__ import annotations

from dataclasses import replace

from xbarc.ir import Layer, Network, layer_inputs, layer_outputs


def remove_dead_layers(network: Network) -> Network:
    """The network without layers whose outputs nobody reads; the same where every layer is read."""
    needed = {value.name for value in network.outputs}
    kept: list[Layer] = []
    for layer in reversed(network.layers):
        if needed.intersection(layer_outputs(layer)):
            kept.append(layer)
            needed.update(layer_inputs(layer))
    if len(kept) == len(network.layers):
        return network
    return replace(network, layers=tuple(reversed(kept)))
