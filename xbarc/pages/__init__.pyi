from .colours import SERIES, red_green_blue, theme
from .web_page import WebPage, content_policy

__all__ = ["SERIES", "WebPage", "content_policy", "red_green_blue", "theme"]
