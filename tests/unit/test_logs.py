"""A log line stays one line, as text and as JSON, and a change of leaders reads as a story."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO

import pytest

from leader_async import Term, connect, logs
from leader_async.logs import Json, OneLine
from leader_async.testing import ZooKeeper, zookeeper

from ..support.waiting import until

__all__ = ["zookeeper"]


def record(message: str, *arguments: object, **more: Any) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "leader_async.x", "levelname": "INFO", "msg": message, "args": arguments, "created": 1.5, **more}
    )


def line(message: str, *arguments: object) -> str:
    return OneLine("%(levelname)s %(message)s").format(record(message, *arguments))


def test_what_a_stranger_wrote_does_not_begin_a_line() -> None:
    assert line("no page %s", "/a\nERROR forged\x1b[31m") == r"INFO no page /a\nERROR forged\x1b[31m"


def test_other_text_is_left_alone() -> None:
    assert line("replica-\u00e9 leads, term %d", 7) == "INFO replica-\u00e9 leads, term 7"


def test_a_line_of_json_has_the_fields_of_its_event() -> None:
    told = json.loads(Json().format(record("%s leads", "a", event="term_began", election="reports", term=7)))
    assert told == {
        "time": "1970-01-01T00:00:01.500Z",
        "level": "info",
        "logger": "leader_async.x",
        "message": "a leads",
        "event": "term_began",
        "election": "reports",
        "term": 7,
    }


def test_json_stays_on_its_line_whatever_is_in_it() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        error = sys.exc_info()
    text = Json().format(record("a\nb\u2028c", exc_info=error, stack_info="of\nwhat", odd=object))
    assert text.splitlines() == [text]
    told = json.loads(text)
    assert (told["message"], told["stack"]) == ("a\nb\u2028c", "of\nwhat")
    assert told["exception"].endswith("ValueError: two\nlines")
    assert told["odd"] == "<class 'object'>"


@contextmanager
def no_handlers() -> Iterator[None]:
    """The root logger has no handlers inside, and afterwards what it had."""
    handlers, level = logging.root.handlers[:], logging.root.level
    logging.root.handlers.clear()
    try:
        yield
    finally:
        logging.root.handlers[:], logging.root.level = handlers, level


@pytest.mark.parametrize("form", logs.FORMATS)
def test_a_process_that_is_started_logs_as_this_one_does(form: logs.Format) -> None:
    with no_handlers():
        assert logs.form_here() == "text"
        logs.to_stderr("info", form)
        assert logs.form_here() == form


class ToJson(logging.Formatter):
    """Somebody else's."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"text": record.getMessage()})


class Raising(logging.Formatter):
    """A careless one."""

    def format(self, record: logging.LogRecord) -> str:
        raise AttributeError("this record has no request")


@pytest.mark.parametrize(
    ("formatter", "line"),
    [
        (logging.Formatter("APP|%(levelname)s|%(message)s"), r"APP|INFO|a\nb"),
        (logging.Formatter("{asctime} {message}", "%Y", style="{"), r"1970 a\nb"),
        (logging.Formatter("$name: $message", style="$"), r"leader_async: a\nb"),
        (OneLine(logs.TEXT), None),
        (logging.Formatter("%(request)s %(message)s"), None),
        (Raising("%(levelname)s %(message)s"), r"INFO a\nb"),
    ],
)
@pytest.mark.parametrize("place", ["", "leader_async"])
def test_a_process_that_is_started_follows_the_form_of_an_application(
    place: str, formatter: logging.Formatter, line: str | None
) -> None:
    said = logging.makeLogRecord(
        {"name": "leader_async", "levelname": "INFO", "msg": "a\nb", "created": 86400.0, "msecs": 0.0}
    )
    expected = line or OneLine(logs.TEXT).format(said)
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logger = logging.getLogger(place)
    with no_handlers():
        logger.addHandler(handler)
        form = logs.form_here()
        logger.removeHandler(handler)
        logs.to_stderr("info", form)
        (made,) = logging.root.handlers
        assert made.format(said) == expected


def test_whoever_makes_json_a_process_that_is_started_makes_json() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(ToJson())
    with no_handlers():
        logging.root.addHandler(logging.NullHandler())
        logging.root.addHandler(handler)
        assert logs.form_here() == "json"
        logging.getLogger("leader_async").propagate = False
        assert logs.form_here() == "text"
        logging.getLogger("leader_async").propagate = True


def test_the_command_line_logs_json() -> None:
    command = [sys.executable, "-m", "leader_async", "guard", "--log-format", "json", "--", "/no/such/command"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=15).stderr
    (only,) = told.splitlines()
    assert json.loads(only)["message"] == "/no/such/command cannot be run: No such file or directory"


@contextmanager
def pipe_of_a_log(monkeypatch: pytest.MonkeyPatch, form: logs.Format) -> Iterator[BinaryIO]:
    """The end to read of a pipe that is stderr, and where this process logs."""
    reading, writing = os.pipe()
    with no_handlers(), open(reading, "rb", buffering=0) as reader, open(writing, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        os.set_blocking(reading, False)
        logs.to_stderr("info", form)
        yield reader


def taken(reader: BinaryIO) -> str:
    """All that is in the pipe."""
    return "".join(iter(lambda: (reader.read(1 << 20) or b"").decode(), ""))


def log(text: str) -> None:
    logging.getLogger("leader_async").info(text, extra={"event": "said"})


def test_what_nobody_reads_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipe_of_a_log(monkeypatch, "json") as reader:
        for number in range(5000):
            log(f"line {number}")
        before = [json.loads(line)["message"] for line in taken(reader).splitlines()]
        log("and on")
        told, last = (json.loads(line) for line in taken(reader).splitlines())
    assert 100 < len(before) < 5000
    assert before == [f"line {number}" for number in range(len(before))]
    assert (told["event"], told["level"], told["lines"]) == ("lines_dropped", "warning", 5000 - len(before))
    assert last["message"] == "and on"


def test_a_line_longer_than_the_pipe_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipe_of_a_log(monkeypatch, "text") as reader:
        log("é" * (1 << 20))
        assert taken(reader).endswith("éé")
        log("next")
        rest, dropped, last = taken(reader).splitlines()
    assert rest == ""
    assert "1 line " in dropped
    assert last.endswith(" INFO     leader_async: next")


def test_a_long_line_waits_for_a_reader_who_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipe_of_a_log(monkeypatch, "text") as reader, ThreadPoolExecutor(1) as other:
        monkeypatch.setattr(logs, "PATIENCE", 10.0)
        writing = other.submit(log, "x" * (1 << 20))
        told = ""
        while not told.endswith("x\n"):
            select.select([reader], [], [], 10.0)
            told += taken(reader)
        writing.result()
    assert told.count("x") == 1 << 20


async def hold(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


async def test_a_handover_reads_as_a_story(zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "leader_async.election")
    async with connect(zookeeper.address, timeout=1.0) as one, connect(zookeeper.address, timeout=1.0) as other:
        a, b = one.election("x", identity="a", lease=0.6), other.election("x", identity="b", lease=0.6)
        running = [asyncio.create_task(a.run(hold))]
        await until(lambda: a.is_leader)
        running.append(asyncio.create_task(b.run(hold)))
        await until(lambda: b.candidacy.lead.named)
        await a.resign()
        await until(lambda: b.is_leader and a.candidacy.position is not None)
        for task in running:
            task.cancel()
        await asyncio.wait(running)
    told = [vars(record) for record in caplog.records]
    story = [(fields["identity"], fields["event"]) for fields in told]
    assert [event for who, event in story if who == "a"][:4] == ["term_began", "term_ending", "term_over", "state"]
    assert [event for who, event in story if who == "b"][:2] == ["state", "term_began"]
    assert story.index(("a", "term_ending")) < story.index(("b", "term_began"))
    assert all(fields["election"] == "x" for fields in told)
    over = next(fields for fields in told if fields["event"] == "term_over")
    assert (over["term"], over["why"], over["reason"]) == (1, "resigned", "resigned")
    assert 0 < over["seconds"] < 10
    began = next(fields for fields in told if (fields["identity"], fields["event"]) == ("b", "term_began"))
    assert (began["term"], began["change"]) == (2, "handover")
    assert began["token"] > over["token"]
    assert over["message"].startswith("x: a has given the lead up, ")


async def test_work_that_ends_by_itself_tells_why(zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "leader_async.election")

    async def done(term: Term) -> str:
        return "done"

    async with connect(zookeeper.address, timeout=1.0) as zk:
        assert await zk.election("x", identity="a").run(done) == "done"
    over = [vars(record) for record in caplog.records if vars(record)["event"] == "term_over"]
    assert [(fields["why"], fields["seconds"] < 5) for fields in over] == [("work done", True)]
