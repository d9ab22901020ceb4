"""Colours that say which of several things is meant."""

SERIES = (
    "#3b6ea8",
    "#d98c3f",
    "#5a9e6f",
    "#b5547a",
    "#7a6bb0",
    "#4fa3b5",
    "#a8935a",
    "#8a8f99",
)
"""One after the other and from the start again; legible on light and dark pages."""


def red_green_blue(colour: str) -> tuple[int, int, int]:
    """Three bytes of `#rrggbb`."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue
