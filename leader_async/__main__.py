"""`python -m leader_async` is `leader-async`."""

from .cli import main

main()
