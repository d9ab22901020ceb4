"""Which channels may be scaled, and which operators such a scale passes."""

from xbarc.frontend.scales.channel_scales import free_scales

__all__ = ["free_scales"]
