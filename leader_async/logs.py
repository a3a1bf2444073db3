"""The log of `leader-async` and its guardian on stderr, one line per event: text for people, JSON for machines.

The library itself only writes to the loggers below `leader_async`, with fields of each event (`event`, `election`,
`term`, …) in `extra=`: an application that sets its own handlers has all of them as well.

Rule: whatever a stranger or a server put into a message, it stays on its line. In text, the traceback of a bug follows
its line; in JSON it is a field of it.
"""

from __future__ import annotations

import json
import logging
import select
import sys
from datetime import UTC, datetime
from typing import Literal, TypeAlias, get_args

Format: TypeAlias = Literal["text", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

_OF_EVERY_RECORD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}


class OneLine(logging.Formatter):
    """Shows line breaks and other control characters of a message as escapes."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        text = super().formatMessage(record)
        return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class Json(logging.Formatter):
    """One JSON object: `time` (ISO 8601, UTC), `level`, `logger`, `message`, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in record.__dict__.items() if name not in _OF_EVERY_RECORD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, default=str)


def to_stderr(level: str | int, form: Format = "text", *, wait: bool = True) -> None:
    """Log there, in this form, what is at least as severe as `level`.

    Args:
        level: its name or number.
        form: for people or for machines.
        wait: for a reader that stands still; else what it does not take is dropped.
    """
    handler = logging.StreamHandler(sys.stderr)
    text = OneLine("%(asctime)s %(levelname)-8s %(name)s: %(message)s")
    handler.setFormatter(Json() if form == "json" else text)
    if not wait:
        handler.addFilter(_taken)
    logging.basicConfig(level=level.upper() if isinstance(level, str) else level, handlers=[handler])
    logging.getLogger("aiozk").setLevel(logging.WARNING)


def form_here() -> Format:
    """The form in which this process logs, for a process that it starts."""
    return "json" if any(isinstance(handler.formatter, Json) for handler in logging.root.handlers) else "text"


def _taken(_: logging.LogRecord) -> bool:
    try:
        return bool(select.select([], [sys.stderr], [], 0)[1])
    except (OSError, TypeError, ValueError):
        return True  # there is no stderr: not our affair
