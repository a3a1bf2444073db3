"""`python -m leader_async` is `leader-async`."""

from .cli import main

if __name__ == "__main__":
    main()
