"""The pulse: a znode by whose version others see that a session renews its leases; and the pulses that it reads. Pure.

A session with candidates has one ephemeral znode, its pulse, below the election that it joined first; all its
candidates name it in their data. Each confirm of the session raises the pulse's version, in the same transaction.

Rules:
1. The pulse is made ahead of the first candidate's znode, on the same connection, so that nobody reads of one that is
   still to come. A lost reply is resolved by making it again under its name: only this session knows that name.
2. Where it cannot be made, or not be raised any more, this session goes without, and says so in its candidates' data.
   No term ends for that: what rests on a pulse is only how soon a silent candidate is followed. Who holds names a pulse
   only while it is raised.
3. A pulse is read without a watch, once in a fifth of the shortest lease for which it counts, however many elections
   it is read for. A read that is not answered within that time ends the connection: the server is not to be trusted.
4. Nobody gets the answer to a read that was asked before it began to watch: it tells of a time before.

What follows from a pulse that does not rise is for `silence`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

from ...errors import NodeExists, NoNode
from ...zookeeper import messages as m

PREFIX = "pulse-"
"""How the name of a pulse begins; no candidate's name begins so."""


class Stage(enum.Enum):
    """What has become of a session's own pulse."""

    NONE = "none"
    REQUESTED = "requested"
    BEATING = "beating"
    OFF = "off"


class Pulse:
    """A session's own pulse; see the module's docstring.

    Args:
        uuids: a new one for each session; None for sessions that are to go without.

    Attributes:
        path: its path, "" while there is none, or none any more.
        stage: what has become of it.
    """

    __slots__ = ("_name", "_session_id", "_uuids", "path", "stage")

    def __init__(self, uuids: Iterator[str] | None) -> None:
        self._uuids = uuids
        self._name, self._session_id = "", 0
        self.path, self.stage = "", Stage.OFF

    def connected(self, session_id: int) -> None:
        """A server serves this session; each candidacy of it says so."""
        if session_id != self._session_id and self._uuids is not None:
            self._session_id, self._name = session_id, next(self._uuids)
            self.path, self.stage = "", Stage.NONE

    def request(self, parent: str) -> m.Create | None:
        """What makes it, if that is to be requested now.

        Args:
            parent: path of the election's znode that is joined.
        """
        if self.stage is not Stage.NONE:
            return None
        self.path = self.path or f"{parent}/{PREFIX}{self._name}"
        self.stage = Stage.REQUESTED
        return m.Create(self.path, b"", ephemeral=True)

    def made(self, answer: m.Answer) -> None:
        """The answer to `request` came."""
        code = answer.code if isinstance(answer, m.Failed) else 0
        if self.stage is not Stage.REQUESTED:
            return
        if isinstance(answer, m.Created) or code == NodeExists.code:
            self.stage = Stage.BEATING
        elif isinstance(answer, m.Lost) or code == NoNode.code:
            self.stage = Stage.NONE  # requested again, under the same name: with the election's znode, or by looking
        else:
            self.off()

    @property
    def named(self) -> str:
        """Its path as long as it is raised, else ""."""
        return self.path if self.stage is Stage.BEATING else ""

    def raised(self) -> m.SetData | None:
        """The operation that raises it; None while there is none to raise."""
        return m.SetData(self.path, b"", m.ANY_VERSION) if self.stage is Stage.BEATING else None

    def off(self) -> m.Delete:
        """It cannot be raised; returns what removes it, if it is still there."""
        remove = m.Delete(self.path)
        self.path, self.stage = "", Stage.OFF
        return remove


class Wanted(NamedTuple):
    """What a candidacy wants read.

    Attributes:
        path: of the pulse.
        period: how often, in seconds.
        watch: for what: what was asked for another one tells nothing.
    """

    path: str
    period: float
    watch: object


class Watcher(Protocol):
    """A candidacy, as far as pulses need it."""

    @property
    def watched_pulse(self) -> Wanted | None:
        """What it wants read; None if nothing."""

    def beat(self, path: str, version: int | None, now: float) -> bool:
        """This pulse was read: its version, None if it is not there. Returns whether anything is to be done for it."""


def _raise(watcher: object, error: Exception) -> None:
    raise error


W = TypeVar("W", bound=Watcher)


@dataclass(frozen=True, slots=True, eq=False)
class PulseRead:
    """One read of a pulse.

    Attributes:
        request: what to ask.
        within: seconds in which it must be answered.
    """

    request: m.Exists
    within: float


@dataclass(slots=True)
class _Read(Generic[W]):
    """Of one pulse: for whom, when next, what is under way, and who has come since that was asked."""

    due: float
    watchers: dict[W, Wanted] = field(default_factory=dict)
    asked: PulseRead | None = None
    late: dict[W, None] = field(default_factory=dict)


class PulseReads(Generic[W]):
    """The pulses that a session reads; rules 3 and 4.

    Args:
        broken: is called with each watcher that raises an error, and with that error; the others' reads go on.
    """

    def __init__(self, broken: Callable[[W, Exception], None] = _raise) -> None:
        self._broken = broken
        self._reads: dict[str, _Read[W]] = {}
        self._paths: dict[W, str] = {}

    def note(self, watcher: W, now: float) -> None:
        """This one may watch another pulse now, or none any more."""
        wanted, path = watcher.watched_pulse, self._paths.get(watcher)
        if path is not None and (wanted is None or wanted.path != path):
            self._drop(watcher, path)
        if wanted is None:
            return
        read = self._reads.setdefault(wanted.path, _Read(now))
        known = read.watchers.get(watcher)
        if known is None or known.watch is not wanted.watch:
            self._paths[watcher], read.watchers[watcher], read.late[watcher] = wanted.path, wanted, None
            read.due = min(read.due, now)

    def _drop(self, watcher: W, path: str) -> None:
        del self._paths[watcher]
        read = self._reads[path]
        del read.watchers[watcher]
        if not read.watchers:
            del self._reads[path]

    def due(self) -> float | None:
        """When `reads` will give one; None while none is watched."""
        return min((read.due for read in self._reads.values() if read.asked is None), default=None)

    def reads(self, now: float) -> list[PulseRead]:
        """What to read now."""
        found = []
        for path, read in self._reads.items():
            if read.asked is None and now >= read.due:
                period = min(wanted.period for wanted in read.watchers.values())
                read.asked, read.due, read.late = PulseRead(m.Exists(path), period), now + period, {}
                found.append(read.asked)
        return found

    def unsent(self, sent: PulseRead) -> None:
        """It could not be sent; the next connection reads anew."""
        self._under_way(sent)

    def answered(self, sent: PulseRead, answer: m.Answer, now: float) -> list[W]:
        """The answer to a read came.

        Args:
            sent: what was asked.
            answer: what came.
            now: the time.

        Returns:
            Those for which something is to be done.
        """
        path, read = sent.request.path, self._under_way(sent)
        version = answer.stat.version if isinstance(answer, m.Found) else None
        if read is None or (version is None and answer != m.Failed(NoNode.code)):
            return []  # nobody waits for it; or it is lost, or refused, and nothing is known
        stirred = []
        for watcher in [*read.watchers]:
            try:
                wanted = watcher.watched_pulse
                if wanted is None or wanted.path != path:
                    self._drop(watcher, path)  # it has lost interest meanwhile, and need not say so
                elif watcher not in read.late and watcher.beat(path, version, now):
                    stirred.append(watcher)
            except Exception as error:
                self._broken(watcher, error)
        return stirred

    def _under_way(self, sent: PulseRead) -> _Read[W] | None:
        """The read that waits for this answer, and does so no longer; None if none does."""
        read = self._reads.get(sent.request.path)
        if read is None or read.asked is not sent:
            return None
        read.asked = None
        return read
