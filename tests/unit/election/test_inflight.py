from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from leader_async.election.inflight import Inflight
from leader_async.errors import NotConnected
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.client import Client


class Server:
    """What the window needs of a client: it sends, and is answered when the test says so."""

    def __init__(self) -> None:
        self.connected = True
        self.clock = 0.0
        self.asked: list[tuple[m.Request, Callable[[m.Answer], None]]] = []

    def send(self, request: m.Request, on_answer: Callable[[m.Answer], None], within: float | None = None) -> float:
        if not self.connected:
            raise NotConnected("away")
        self.asked.append((request, on_answer))
        self.clock += 1.0
        return self.clock

    def answer(self) -> None:
        _, taken = self.asked.pop(0)
        taken(m.Synced())


@pytest.fixture
def server() -> Server:
    return Server()


def ask(window: Inflight, number: int, told: list[Any]) -> None:
    def taken(answer: m.Answer, sent: float) -> None:
        told.append((number, type(answer).__name__, sent))

    window.send(m.Sync(f"/{number}"), taken, lambda: told.append((number, "unsent")), None)


def test_no_more_than_so_many_are_unanswered_and_they_go_in_order(server: Server) -> None:
    window, told = Inflight(cast(Client, server), 2), list[Any]()
    for number in range(5):
        ask(window, number, told)
    assert len(server.asked) == 2
    while server.asked:
        server.answer()
        assert len(server.asked) <= 2
    assert told == [(number, "Synced", number + 1.0) for number in range(5)], "sent when it left, not when it waited"


def test_what_waits_when_the_connection_ends_was_never_sent(server: Server) -> None:
    window, told = Inflight(cast(Client, server), 1), list[Any]()
    for number in range(3):
        ask(window, number, told)
    server.connected = False
    _, taken = server.asked.pop()
    taken(m.Lost())
    assert told == [(0, "Lost", 1.0), (1, "unsent"), (2, "unsent")]
    server.connected = True
    ask(window, 3, told)
    server.answer()
    assert told[-1] == (3, "Synced", 2.0)


def test_what_cannot_be_sent_at_all_is_told_at_once(server: Server) -> None:
    window, told = Inflight(cast(Client, server), 1), list[Any]()
    server.connected = False
    ask(window, 0, told)
    assert told == [(0, "unsent")]
