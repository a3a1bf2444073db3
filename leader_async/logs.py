"""The log of `leader-async` and of the guardian: text on stderr, one line per event.

Rule: whatever a stranger or a server put into a message, it stays on its line. The traceback of a bug follows its line.
It does not promise a format that a machine can parse: that is `GET /status`.
"""

from __future__ import annotations

import logging
import sys


class OneLine(logging.Formatter):
    """Shows line breaks and other control characters of a message as escapes."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        text = super().formatMessage(record)
        return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def to_stderr(level: str | int) -> None:
    """Log there what is at least as severe as `level`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(asctime)s %(levelname)-8s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper() if isinstance(level, str) else level, handlers=[handler])
    logging.getLogger("aiozk").setLevel(logging.WARNING)
