"""The log of `leader-async` and its guardian on stderr, one line per event: text for people, JSON for machines.

The library itself only writes to the loggers below `leader_async`, with the fields of each event (`event`, `election`,
`term`, …) in `extra=`. An application that sets its own handlers gets all of them.

Rules:
- A message stays on its line, whatever a stranger or a server has put into it. In text, the traceback of a bug follows
  its line; in JSON it is a field.
- The log does not wait for a reader that has stopped: a full pipe would block the event loop until the lease runs out.

It does not promise the second rule where two processes write to one pipe in the same instant.
"""

from __future__ import annotations

import json
import logging
import select
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, TextIO, TypeAlias, get_args

Format: TypeAlias = Literal["text", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

TEXT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"
_STYLES: dict[type, Literal["%", "{", "$"]] = {
    logging.PercentStyle: "%",
    logging.StrFormatStyle: "{",
    logging.StringTemplateStyle: "$",
}

PATIENCE = 0.05
"""Seconds that a reader has to take a line which does not fit, until one was dropped."""

_CHUNK = getattr(select, "PIPE_BUF", 512) // len(ascii("\U0001f600"))  # Windows has none
"""Characters; in any encoding they fit into a pipe that says it is ready."""

_OF_EVERY_RECORD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}


def one_line(text: str, escape: Callable[[str], str] = ascii) -> str:
    """This text on one line: what a terminal does not show (line breaks, control characters) becomes an escape.

    `escape` gives a character's, in quotes.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else escape(c)[1:-1] for c in text)


class OneLine(logging.Formatter):
    """Shows line breaks and other control characters of a message as escapes."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        return one_line(super().formatMessage(record))


class Json(logging.Formatter):
    """One JSON object: `time` (ISO 8601, UTC), `level`, `logger`, `message`, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        seconds, milliseconds = divmod(int(record.created * 1000), 1000)
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{milliseconds:03d}Z",
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


class Dropping(logging.StreamHandler[TextIO]):
    """Drops what the reader does not take, and logs afterwards how many lines that were."""

    _dropped = 0
    _torn = False  # the last line is not whole

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            if self._dropped and self._put(_lines_dropped(self._dropped)):
                self._dropped = 0
            if self._dropped or not self._put(record):
                self._dropped += 1
        except Exception:  # as all handlers of `logging` do: a line that cannot be formatted must not end its caller
            self.handleError(record)

    def _put(self, record: logging.LogRecord) -> bool:
        line = "\n" * self._torn + self.format(record) + self.terminator
        until = time.monotonic() + (0.0 if self._dropped else PATIENCE)
        for begin in range(0, len(line), _CHUNK):
            if not _ready(self.stream, until - time.monotonic()):
                self._torn = self._torn or begin > 0
                return False
            self.stream.write(line[begin : begin + _CHUNK])
            self.stream.flush()
        self._torn = False
        return True


def to_stderr(level: str | int, form: str = "text") -> None:
    """Log to stderr what is at least as severe as `level`, in the form `text`, `json`, or what `form_here` returned."""
    handler = Dropping(sys.stderr)
    handler.setFormatter(_formatter(form))
    logging.basicConfig(level=level.upper() if isinstance(level, str) else level, handlers=[handler])
    logging.getLogger("aiozk").setLevel(logging.WARNING)


def _formatter(form: str) -> logging.Formatter:
    if form == "json":
        return Json()
    if form != "text":
        # The format may want fields that only the application's records have.
        with suppress(ValueError, TypeError, KeyError):
            text, dates, style = json.loads(form)
            made = OneLine(text, dates, style)
            made.format(_sample())
            return made
    return OneLine(TEXT)


def form_here() -> str:
    """The form in which this process logs, for a process that it starts and that writes to the same stderr.

    Returns:
        `json` if its lines are JSON, by any formatter; else the format of its lines as far as that can be passed on.
    """
    formatter = _formatter_here()
    if formatter is None or (isinstance(formatter, OneLine) and formatter._fmt == TEXT):
        return "text"
    if isinstance(formatter, Json) or _makes_json(formatter):
        return "json"
    # The module `logging` has no other names for these.
    style = _STYLES.get(type(getattr(formatter, "_style", None)))
    return "text" if style is None else json.dumps([formatter._fmt, formatter.datefmt, style])


def _formatter_here() -> logging.Formatter | None:
    """What formats the lines of `leader_async`, None if nothing does."""
    logger: logging.Logger | None = logging.getLogger("leader_async")
    while logger is not None:
        for handler in logger.handlers:
            if handler.formatter is not None:
                return handler.formatter
        logger = logger.parent if logger.propagate else None
    return None


def _makes_json(formatter: logging.Formatter) -> bool:
    try:
        return isinstance(json.loads(formatter.format(_sample())), dict)
    except Exception:  # the application's formatter may raise anything
        return False


def _sample() -> logging.LogRecord:
    fields = {"name": "leader_async.guardian", "levelno": logging.INFO, "levelname": "INFO", "msg": "a sample"}
    return logging.makeLogRecord(fields)


def _lines_dropped(number: int) -> logging.LogRecord:
    what = "1 line is" if number == 1 else f"{number} lines are"
    text = f"{what} missing or cut off here: nobody took them"
    return logging.makeLogRecord({
        "name": "leader_async", "levelno": logging.WARNING, "levelname": "WARNING", "msg": text,
        "event": "lines_dropped", "lines": number,
    })  # fmt: skip


def _ready(stream: TextIO, seconds: float) -> bool:
    try:
        return bool(select.select([], [stream], [], max(0.0, seconds))[1])
    except (OSError, TypeError, ValueError):
        return True  # there is no stderr, so nothing to wait for
