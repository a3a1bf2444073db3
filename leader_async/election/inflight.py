"""The in-flight window: how many requests of all elections of one session may be unanswered at a time.

Thousands of elections that join, or look again after a reconnect, would otherwise send more than a server answers
within the time that each request has, and the connection would be dropped as dead. Confirms do not pass through here:
they must never wait.

Rules:
1. First come, first served.
2. The instant of sending is read when a request leaves, not when it begins to wait.
3. A request that waits when the connection ends was never sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..errors import NotConnected
from ..zookeeper.client import Client
from ..zookeeper.messages import Answer, Request

WIDTH = 256
"""Requests: enough to keep a server busy, few enough to be answered well within a fifth of a lease."""

OnAnswer = Callable[[Answer, float], None]


class Inflight:
    """See the module's docstring. `width` is how many may be unanswered."""

    def __init__(self, client: Client, width: int = WIDTH) -> None:
        self._client, self._width = client, width
        self._unanswered = 0
        self._waiting: deque[tuple[Request, OnAnswer, Callable[[], None], float | None]] = deque()

    def send(self, request: Request, taken: OnAnswer, unsent: Callable[[], None], within: float | None) -> None:
        """Send a request as soon as there is room.

        Args:
            request: what to ask.
            taken: gets the answer, and the clock's reading before the request was encoded.
            unsent: called instead if it was not sent.
            within: seconds for the answer, counted from when it leaves; None for the session's rule.
        """
        self._waiting.append((request, taken, unsent, within))
        self._fill()

    def _fill(self) -> None:
        while self._waiting and self._unanswered < self._width:
            self._send(*self._waiting.popleft())

    def _send(self, request: Request, taken: OnAnswer, unsent: Callable[[], None], within: float | None) -> None:
        def answered(answer: Answer) -> None:
            self._unanswered -= 1
            taken(answer, sent)
            self._fill()

        try:
            sent = self._client.send(request, answered, within)
        except NotConnected:
            unsent()
        else:
            self._unanswered += 1
