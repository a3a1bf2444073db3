"""One stream of events for any number of listeners; `events` lists the events.

Rules:
1. What feeds it runs from the first listener on until `LINGER` seconds after the last one.
2. A newcomer gets first what is known: the latest event of each name.
3. An event is encoded once, and handed out to a few listeners at a time, so that polls are answered in between. A slow
   listener costs the others nothing, and room for `mailbox.ROOM` events.
4. There is room for `STREAMS` listeners. When it is taken, the address that has most of them makes room for one that
   has fewer: the oldest of its streams ends. So one address cannot keep others out, and a proxy, from whose
   address all of its clients come, may have all the room that is left. The header `X-Forwarded-For` is not believed,
   since every client may write it: let the proxy bound what one of its clients may have.
5. A stop ends all at once, whatever they have not taken.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager

from ..waking import Pulse
from .callers import bound
from .mailbox import Event, Mailbox

log = logging.getLogger("leader_async.web")

STREAMS = 1000
"""Listeners at a time; fewer where the process may not open twice as many files."""
LINGER = 10.0
"""Seconds for which it is fed when the last listener has gone: a page that is reloaded is back by then."""
SLICE = 20
"""Listeners that are woken in one iteration of the event loop."""

Data = dict[str, object]
Publish = Callable[[str, Data], None]
Feed = Callable[[Publish], Coroutine[None, None, None]]


def address_of(transport: asyncio.Transport | None) -> str:
    """From where a connection comes: an IPv4 address, or the network of an IPv6 one, which one machine has all of."""
    peer = None if transport is None else transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        return ""  # a Unix socket
    try:
        address = ipaddress.ip_address(peer[0].partition("%")[0])
    except ValueError:
        return str(peer[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


class Subscriber:
    """One open stream."""

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self.mailbox, self.news, self.ended = Mailbox(), Pulse(), False
        self.address = address_of(transport)
        self._transport = transport

    async def next(self) -> bytes:
        """What is to be sent next, once there is any; nothing when the stream is to end."""
        while not (self.ended or (frames := self.mailbox.take())):
            await self.news.wait()
        return b"" if self.ended else frames

    def end(self) -> None:
        """End the stream now; what has not been taken is not waited for."""
        self.ended = True
        self.news.fire()
        if self._transport is not None and self._transport.get_write_buffer_size():
            self._transport.abort()


class Broadcast:
    """All streams of one replica.

    Args:
        feed: publishes what happens until it is cancelled; its return ends all streams.
        fresh: makes a newcomer's first event, a name and its data.
        passing: names of events that newcomers have no use for.
    """

    def __init__(self, feed: Feed, fresh: Callable[[], tuple[str, Data]], passing: frozenset[str]) -> None:
        self._feed, self._fresh, self._passing = feed, fresh, passing
        self._listeners: dict[Subscriber, None] = {}
        self._latest: dict[str, Event] = {}
        self._number = 0
        self._news = Pulse()
        self._feeding: asyncio.Task[None] | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._closed = False

    def room(self, transport: asyncio.Transport | None) -> bool:
        """Whether there is room for a listener on this connection; some may have been made for it."""
        if self._closed or len(self._listeners) < min(STREAMS, bound() // 2):
            return not self._closed
        counted = Counter(one.address for one in self._listeners)
        (greedy, number), *_ = counted.most_common(1)
        if number <= counted[address_of(transport)] + 1:
            return False
        oldest = next(one for one in self._listeners if one.address == greedy)
        del self._listeners[oldest]
        oldest.end()
        return True

    @contextmanager
    def listener(self, transport: asyncio.Transport | None) -> Iterator[Subscriber]:
        """One more listener. It gets first what is known."""
        one = Subscriber(transport)
        if self._feeding is None:
            self._feeding = asyncio.get_running_loop().create_task(self._run(), name="events")
            self._feeding.add_done_callback(self._fed)
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        one.mailbox.put(self._event(*self._fresh()))
        for event in self._latest.values():
            one.mailbox.put(event)
        self._listeners[one] = None
        try:
            yield one
        finally:
            self._listeners.pop(one, None)
            if not (self._listeners or self._closed):
                self._ending = asyncio.get_running_loop().call_later(LINGER, self._end)

    def close(self) -> None:
        """End all streams, and take no more."""
        self._closed = True
        self._end()
        for one in self._listeners:
            one.end()

    def _end(self) -> None:
        self._ending = None
        if self._feeding is not None:
            self._feeding.cancel()

    def _fed(self, feeding: asyncio.Task[None]) -> None:
        self._feeding = None
        self._latest.clear()
        if not feeding.cancelled() and (error := feeding.exception()) is not None:
            text = "the event stream has died of a bug; its listeners are sent away"
            log.critical(text, exc_info=error, extra={"event": "bug"})
        for one in self._listeners:
            one.end()

    # -- handing out ---------------------------------------------------------------------------------------------------

    def _event(self, name: str, data: Data) -> Event:
        self._number += 1
        text = json.dumps({"at": round(time.time(), 3), **data}, ensure_ascii=False, separators=(",", ":"))
        return Event(name, f"id: {self._number}\nevent: {name}\ndata: {text}\n\n".encode(errors="replace"))

    def _publish(self, name: str, data: Data) -> None:
        event = self._event(name, data)
        if name not in self._passing:
            self._latest[name] = event
        for one in self._listeners:
            one.mailbox.put(event)
        self._news.fire()

    async def _run(self) -> None:
        handing_out = asyncio.get_running_loop().create_task(self._hand_out(), name="events handed out")
        try:
            await self._feed(self._publish)
        finally:
            handing_out.cancel()

    async def _hand_out(self) -> None:
        while True:
            news = self._news.next()
            for number, one in enumerate([*self._listeners], 1):
                one.news.fire()
                if number % SLICE == 0:
                    await asyncio.sleep(0)
            await asyncio.shield(news)
