"""The status service: an aiohttp application that says who leads. See `app`."""

from .app import create_app

__all__ = ("create_app",)
