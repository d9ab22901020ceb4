"""Attributes of nodes, with the default where a node leaves one out."""

from __future__ import annotations

import onnx_ir as ir

from xbarc.errors import ModelError

_KINDS = {
    "whole": ir.AttributeType.INT,
    "wholes": ir.AttributeType.INTS,
    "real": ir.AttributeType.FLOAT,
    "text": ir.AttributeType.STRING,
}


def whole(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute."""
    attribute = _attribute_of_kind(node, name, "whole")
    return default if attribute is None else attribute.as_int()


def wholes(node: ir.Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """A list of integers."""
    attribute = _attribute_of_kind(node, name, "wholes")
    return default if attribute is None else tuple(attribute.as_ints())


def real(node: ir.Node, name: str, default: float) -> float:
    """A real attribute."""
    attribute = _attribute_of_kind(node, name, "real")
    return default if attribute is None else attribute.as_float()


def text(node: ir.Node, name: str, default: str) -> str:
    """A string attribute."""
    attribute = _attribute_of_kind(node, name, "text")
    return default if attribute is None else attribute.as_string()


def _attribute_of_kind(node: ir.Node, name: str, kind: str) -> ir.Attr | None:
    attribute = node.attributes.get(name)
    if attribute is None:
        return None
    # ONNX's checker lets a reference stand outside a function, where it has no value.
    if attribute.type != _KINDS[kind] or attribute.is_ref():
        raise ModelError(
            f"attribute {name} of {node.op_type} is {attribute.type.name},"
            f" expected {_KINDS[kind].name}",
            where=node.name or "",
        )
    return attribute


def only_moves(node: ir.Node) -> bool:
    """Say whether a moving operator only moves: no second result, no training, no mixing."""
    if node.op_type in ("Resize", "Upsample") and text(node, "mode", "nearest") != "nearest":
        return False
    if node.op_type == "Resize":
        mode = text(node, "coordinate_transformation_mode", "")
        # It fills what lies outside of its box with a number of its own.
        return mode != "tf_crop_and_resize"
    if node.op_type == "Split":
        return True
    if node.op_type == "Dropout" and len(node.inputs) > 2:
        return False
    if text(node, "reduction", "none") != "none":
        return False
    return all(not output.uses() and not output.is_graph_output() for output in node.outputs[1:])
