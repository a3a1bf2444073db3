"""Candidates of kazoo's `Election`, a thread each, as its documentation shows."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from typing import Any

from .talk import arguments, now, tell


class Candidate:
    """One candidate's thread."""

    def __init__(self, number: int, client: Any, path: str, states: Any, closed: Any) -> None:
        self._number, self._client, self._path, self._lost = number, client, path, states.KazooState.LOST
        self._closed = closed
        self._election: Any = None
        self._go, self._wanted, self._at, self._word = threading.Event(), True, 0.0, ""
        client.add_listener(self._listen)

    def join(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def resign(self) -> None:
        self._word = "resigned"
        self._go.set()

    def leave(self) -> None:
        self._word, self._wanted, self._at = "left", False, now()
        if not self._election.lock.is_acquired:
            self._election.cancel()
        self._go.set()

    def _listen(self, state: str) -> None:
        if state == self._lost and self._election is not None and self._election.lock.is_acquired:
            self._word = "ends"
            self._go.set()

    def _run(self) -> None:
        while self._wanted:
            self._go.clear()
            self._election = self._client.Election(self._path, str(self._number))
            try:
                self._election.run(self._lead)
            except self._closed:
                return
            tell(self._word, self._number, self._at)

    def _lead(self) -> None:
        tell("leads", self._number, now())
        self._go.wait()
        self._at = now()


def main() -> None:
    logging.disable(logging.CRITICAL)
    kazoo: Any = importlib.import_module("kazoo.client")
    states: Any = importlib.import_module("kazoo.protocol.states")
    errors: Any = importlib.import_module("kazoo.exceptions")
    given = arguments()
    clients = [
        kazoo.KazooClient(hosts=given.server(number), timeout=given.timeout, connection_retry={"max_tries": -1})
        for number in range(1 if given.shared else given.count)
    ]
    for client in clients:
        client.start(timeout=30)
    tell("ready", -1, now())
    candidates = [
        Candidate(
            n,
            clients[0 if given.shared else n],
            f"{given.root}/{given.election(n)}",
            states,
            errors.ConnectionClosedError,
        )
        for n in range(given.count)
    ]
    for line in sys.stdin:
        order, _, number = line.strip().partition(" ")
        match order:
            case "join":
                candidates[int(number)].join()
            case "resign":
                candidates[int(number)].resign()
            case "leave":
                candidates[int(number)].leave()
            case "close":
                tell("closing", -1, now())
                for client in clients:
                    client.stop()
                    client.close()
                break


if __name__ == "__main__":
    main()
