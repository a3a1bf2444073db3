"""The `leader-async` command: composition of arguments, environment, signals and exit codes."""

from .main import main

__all__ = ("main",)
