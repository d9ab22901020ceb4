"""Colours of pages: of paper and ink, light and dark, and those that tell several things apart."""

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


_LIGHT = "--ink: #1d2430; --quiet: #5d6878; --line: #c5ccd6; --pale: #e7eaef; --paper: #ffffff;"
_DARK = "--ink: #e3e7ee; --quiet: #9aa5b4; --line: #4a5463; --pale: #2c333e; --paper: #171b21;"


def theme(selector: str, light: str, dark: str, *, printed: bool) -> str:
    """Style that gives colours to what a CSS selector matches.

    Args:
        selector: in CSS.
        light: variables on light pages, beside those of paper and ink.
        dark: the same ones on dark pages.
        printed: whether a printer gets the light ones. Pictures that scripts have drawn keep the
            colours of the screen, and so should what stands around them.
    """
    paper = f"@media print {{ {selector} {{ color-scheme: light; {_LIGHT} {light} }} }}\n"
    return (
        f"{selector} {{ color-scheme: light dark; {_LIGHT} {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ {selector} {{ {_DARK} {dark} }} }}\n"
        f"{paper if printed else ''}"
    )


def red_green_blue(colour: str) -> tuple[int, int, int]:
    """Three bytes of `#rrggbb`."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue
