"""A log line stays one line."""

from __future__ import annotations

import logging

from leader_async.logs import OneLine


def line(message: str, *arguments: object) -> str:
    record = logging.LogRecord("leader_async", logging.INFO, "file", 1, message, arguments, None)
    return OneLine("%(levelname)s %(message)s").format(record)


def test_what_a_stranger_wrote_does_not_begin_a_line() -> None:
    assert line("no page %s", "/a\nERROR forged\x1b[31m") == r"INFO no page /a\nERROR forged\x1b[31m"


def test_other_text_is_left_alone() -> None:
    assert line("replica-\u00e9 leads, term %d", 7) == "INFO replica-\u00e9 leads, term 7"
