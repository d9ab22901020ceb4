from .web_page import WebPage, content_policy

__all__ = ["WebPage", "content_policy"]
