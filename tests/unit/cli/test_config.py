"""What settings can be used, and what is said of those that cannot."""

from __future__ import annotations

from typing import Any

import pytest

from leader_async.cli.config import Config
from leader_async.errors import UsageError


def test_the_defaults_can_be_used() -> None:
    assert Config().stop_timeout == 10.0


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:81"),
        ({"host": "::1"}, "http://[::1]:81"),
        ({"host": "0.0.0.0"}, "http://machine:81"),
        ({"host": "::"}, "http://machine:81"),
        ({"address": "https://me"}, "https://me"),
        ({"address": "https://me", "host": "::"}, "https://me"),
    ],
)
def test_where_people_reach_a_replica(settings: dict[str, Any], url: str) -> None:
    assert Config(**settings).url(81, "machine") == url


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"zookeeper": "a,,b"}, "--zookeeper: an empty host"),
        ({"root": "ELECTION"}, "--root: 'ELECTION' is not a znode's path"),
        ({"election": ""}, "--election is one part of a path"),
        ({"election": "a/b"}, "use --root for the path above"),
        ({"election": ".."}, "--election: '/..' is not"),
        ({"identity": "a\nb"}, "--identity"),
        ({"address": "me\n"}, "--address"),
        ({"address": "me:80"}, "is not a URL"),
        ({"address": "http://"}, "is not a URL"),
        ({"address": "http://[x"}, "is not a URL"),
        ({"port": -1}, "--port -1 is no port; give 1 to 65535, or 0"),
        ({"port": 65536}, "--port 65536"),
        ({"shared_port": 70000}, "--shared-port 70000 is no port; give 1 to 65535"),
        ({"shared_port": 0}, "a port of its own"),
        ({"shared_port": 8080}, "a port of its own"),
        ({"session_timeout": 0.0}, "--session-timeout 0.0 cannot"),
        ({"session_timeout": float("nan")}, "--session-timeout nan cannot"),
        ({"lease": -3.0}, "--lease -3.0 cannot"),
        ({"stop_timeout": 0.0}, "--stop-timeout 0.0 cannot"),
        ({"stop_timeout": float("inf")}, "--stop-timeout inf cannot"),
        ({"resign_token": "short"}, "at least 16 characters"),
        ({"resign_token": "one line of it\nand another"}, "one line of printable ASCII"),
        ({"resign_token": "t\u00f6ken t\u00f6ken t\u00f6ken"}, "one line of printable ASCII"),
        ({"log_level": "loud"}, "none of debug, info, warning, error"),
        ({"overdue": "loud"}, "--overdue 'loud' is none of off, dump, exit"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_to_do(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Config(**settings)


def test_a_lease_longer_than_the_session_timeout_is_allowed() -> None:
    assert Config(lease=10.0, session_timeout=6.0).lease == 10.0


def test_the_token_does_not_show() -> None:
    assert "very secret" not in repr(Config(resign_token="a very secret token"))
