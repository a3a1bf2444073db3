"""What is asked of arguments, and what is said of those that cannot be used."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

import leader_async
from leader_async import arguments
from leader_async.errors import QuotaExceeded, UsageError, server_error


@pytest.mark.parametrize("value", [0.1, 1, 3.0, 86400])
def test_seconds_are_a_float(value: float) -> None:
    assert type(arguments.seconds("lease=", value)) is float


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("3", r"lease='3' is not a number: give 0.1 to 86400 seconds \(half"),
        (True, "lease=True is not a number"),
        (None, "lease=None is not a number"),
        (0, "lease=0 cannot be used"),
        (float("nan"), "lease=nan cannot be used"),
        (86401, "lease=86401 cannot be used"),
        (10**400, "cannot be used"),
    ],
)
def test_other_seconds_are_refused(value: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        arguments.seconds("lease=", value, "half the timeout")


@pytest.mark.parametrize("value", ["", "a/b", None, 7])
def test_a_name_is_one_part_of_a_path(value: Any) -> None:
    with pytest.raises(UsageError, match="an election's name is one part of a path"):
        arguments.name("an election's name", value)


@pytest.mark.parametrize(
    ("value", "complaint"), [("", "is empty"), ("a\nb", "one line"), (7, "not a text"), ("a" * 257, "give 256 at most")]
)
def test_a_line_can_be_shown(value: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        arguments.line("identity=", value)


def test_some_lines_may_be_empty() -> None:
    assert arguments.line("address=", "", empty=True) == ""
    assert arguments.name("a name", "n") == "n"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"lease": "3"}, "lease='3' is not a number"),
        ({"identity": ""}, "identity='' is empty"),
        ({"identity": 7}, "identity=7 is not a text"),
        ({"address": 7}, "address=7 is not a text"),
    ],
)
async def test_an_election_refuses_what_it_cannot_use(options: dict[str, Any], complaint: str) -> None:
    async with leader_async.connect("127.0.0.1:1") as zk:
        with pytest.raises(UsageError, match=complaint):
            zk.election("reports", **options)


@pytest.mark.parametrize("timeout", ["6", None, 0, float("inf")])
def test_so_does_connect(timeout: Any) -> None:
    with pytest.raises(UsageError, match="timeout="):
        leader_async.connect("127.0.0.1:1", timeout=timeout)


async def test_workers_of_one_host_have_names_of_their_own() -> None:
    async with leader_async.connect(["127.0.0.1:1", "127.0.0.1:2"]) as zk:
        assert zk.election("reports").identity == f"{socket.gethostname()}-{os.getpid()}"


def test_a_quota_has_its_name() -> None:
    assert isinstance(server_error(-125), QuotaExceeded)
    assert "QuotaExceeded (ZooKeeper error -125): a write; raise the quota" in str(server_error(-125, "a write"))
    assert str(server_error(-99, "a write")) == "ServerError (ZooKeeper error -99): a write"
