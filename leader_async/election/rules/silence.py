"""Silence: a candidate whose pulse does not rise is buried: its znode is deleted by the one who depends on it. Pure.

Nothing is safe because of this, and nothing unsafe: candidates' znodes may be deleted at any time. Who was buried ends
its term at its next confirm, and who claims waits 1.1 leases out as ever. What this decides is how soon.

 9. Who has nobody but the holder ahead watches the holder's pulse, and so does who stands right behind it; a holder
    that of the heir that it has named; who stands behind an heir that has been named by another, that heir's, which
    says so in its data. A holder whom the lead has reached past such an heir watches on, and that one beats as long as
    it stands first. Nobody watches without a pulse to watch: then the end of the session tells.
    Broken by: "a confirm does not raise the pulse: a healthy leader is buried", "a holder whose work winds down
    confirms no more", "an heir confirms by its own lease, be it longer than the holder's".
10. Silence is counted from when the answer came that first showed the pulse's version, on this connection, to a read
    that was asked since the watched one is what it is. Another version starts anew. A holder counts its heir's silence
    only after a beat: before that the heir may not know that it is to beat.
    Broken by: "silence is counted from when the reading was asked for", "silence goes on though the pulse has moved",
    "silence is remembered over a reconnect", "silence in one election counts in another", "a pulse that is gone counts
    as silent", "a reading from before one was named counts as one from after that", "an heir's silence counts before it
    has ever confirmed".
11. After one lease of silence the watched one is buried, in a transaction that checks the pulse's version: who has
    confirmed since is not, however old the reads were. Who buries the heir of another checks as well that this one's
    data are those by which it was named.
    Broken by: "burying does not check the pulse", "who buries another's heir does not check that it is named still".
12. Not while ZooKeeper is away for all: only if a transaction of our own, sent when two fifths of the lease had been
    silent, was answered two fifths of the lease ago. Who sends no confirms sends some from then on.
    Broken by: "who buries has not proved that ZooKeeper serves", "what was sent before the silence proves that
    ZooKeeper serves".
13. None buries while it departs. Nobody claims blindly what it has buried, or is burying.
    Broken by: "what is being buried is claimed blindly", "who has buried does not wait the lease out".
14. A holder whose heir is in doubt (two fifths of a lease silent, or without a beat for as long) appoints the next one
    behind it.
    Broken by: "an heir in doubt is appointed all the same".

It does not promise that anybody is buried: without a pulse, or the right to delete, the end of the session tells. Nor
is anybody buried who neither holds nor has been named: one that fails while it waits a lease out is followed when its
session ends.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import BadVersion, NoAuth, NoNode
from ...zookeeper import messages as m
from .candidate_data import CandidateData
from .effects import Attend, ConfirmNow, Purpose, Remark, Send
from .handover import Handover
from .lease import Hold
from .place import Place
from .pulse import Stage, Wanted
from .state import CONFIRMS, DOUBT, NO_NODE, Heir, Standing, Subject, Watch


class Silence:
    """See the module's docstring.

    Args:
        own: where we stand.
        place: our place in the queue.
        handover: how the lead will be given away.

    Attributes:
        buried: candidates that we have buried.
    """

    __slots__ = ("_handover", "_own", "_place", "buried")

    def __init__(self, own: Standing, place: Place, handover: Handover) -> None:
        self._own, self._place, self._handover = own, place, handover
        self.buried = 0

    # -- whom to watch: rule 9 -------------------------------------------------------------------------------------

    def attend(self, now: float) -> None:
        """Watch whom we have to watch, and bury the one that has been silent for too long."""
        own, join, sight = self._own, self._own.join, self._own.sight
        hold, watch = join.hold, sight.watch
        # Kept, as thousands of elections ask for it at every confirm.
        made_from = (
            hold, join.behind, join.published, sight.heir, own.pulse.stage,
            sight.armed, sight.before, sight.edition, sight.view, join.queue.position,
        )  # fmt: skip
        if made_from != sight.attended:
            if hold is None:
                subject = self._ahead()
            else:
                subject = self._passed() if join.queue.position else self._behind(hold)
            sight.attended = made_from
            if subject is None:
                watch = sight.watch = None
            elif watch is None or watch.subject != subject:
                watch = sight.watch = Watch(subject)
                own.commands.append(Attend())
        if watch is not None and watch.proved is not None and (due := self.due()) is not None and now >= due:
            self._bury(watch)

    def _ahead(self) -> Subject | None:
        """The holder, if nobody else stands before us, or the holder's heir right before us."""
        own, sight, queue = self._own, self._own.sight, self._own.join.queue
        armed, said, view = sight.armed, sight.before, sight.view
        if armed is None or not said.pulse:
            return None
        if said.version:
            return Subject(armed, said.pulse, said.lease, said.version) if said.lease else None
        if queue.position <= 1 and view is not None and view.record is not None and view.held_by(armed):
            return Subject(armed, said.pulse, view.record.lease, view.version)
        if said.named_by and said.lease:
            return Subject(armed, said.pulse, said.lease, 0, m.Check(own.path(said.named_by), said.named_in))
        return None

    def _passed(self) -> Subject | None:
        """The former heir right before us, who hold in its stead: it knows that it is to beat, as it was named."""
        before, said = self._own.join.queue.predecessor, self._own.sight.before
        assert before is not None
        if self._own.sight.armed != before:
            self._place.watch(before)
            return None
        return Subject(before, said.pulse, said.lease, 0) if said.pulse and said.named_by and said.lease else None

    def _behind(self, hold: Hold) -> Subject | None:
        """The heir that we have named, and that can know it."""
        own, join, heir = self._own, self._own.join, self._own.sight.heir
        if not join.behind or not join.published or not self._handover.by_name:
            return None
        if join.published != self._handover.data(hold):
            return None
        znode = join.behind[0]
        if heir is None or heir.znode != znode:
            if not own.asking(Purpose.HEIR):
                own.ask(Purpose.HEIR, m.GetData(own.path(znode)), znode)
            return None
        return Subject(znode, heir.data.pulse, hold.lease, hold.version) if heir.data.pulse else None

    # -- how long it has been silent: rules 10 and 12 --------------------------------------------------------------

    @property
    def watched_pulse(self) -> Wanted | None:
        """The pulse that is to be read; None if none is."""
        watch = self._own.sight.watch
        if watch is None or watch.barred or self._own.join.departing or self._own.dead:
            return None
        return Wanted(watch.subject.pulse, watch.subject.lease / CONFIRMS, watch)

    def beat(self, path: str, version: int | None, now: float) -> bool:
        """This pulse was read.

        Args:
            path: its path.
            version: its version, None if it is not there.
            now: the time.

        Returns:
            Whether that calls for anything.
        """
        own, watch = self._own, self._own.sight.watch
        if watch is None or watch.subject.pulse != path or watch.barred:
            return False
        if version is None:
            watch.barred = True
            if own.join.hold is not None:
                self._place.list_behind()
            return True
        stirred = watch.doubted
        if version != watch.seen:
            watch.beaten = watch.seen is not None
            watch.seen, watch.since, watch.proved, watch.doubted = version, now, None, False
        elif not stirred and now - watch.since >= DOUBT * watch.subject.lease:
            watch.doubted = stirred = True
            own.commands.append(ConfirmNow())
            if own.join.hold is not None:
                self._place.list_behind()  # another one may have to be appointed
        return stirred

    def proved(self, sent: float, now: float) -> None:
        """A transaction of ours that was sent at `sent` was answered "ok"."""
        watch = self._own.sight.watch
        if watch is None or watch.seen is None or watch.proved is not None:
            return
        if sent >= watch.since + DOUBT * watch.subject.lease:
            watch.proved = now
            self._own.commands.append(Attend())

    def due(self) -> float | None:
        """When the watched one is to be buried, unless it beats; None while that is not known."""
        own, watch = self._own, self._own.sight.watch
        if watch is None or watch.proved is None or watch.barred or own.asking(Purpose.BURY):
            return None
        if own.join.hold is not None and watch.subject.version and not watch.beaten:
            return None
        return max(watch.since + watch.subject.lease, watch.proved + DOUBT * watch.subject.lease)

    @property
    def watches(self) -> str | None:
        """Who is watched, for people; None if nobody is."""
        watch = self._own.sight.watch
        return None if watch is None or watch.barred else self._own.who(watch.subject.znode)

    def seconds(self, now: float) -> float | None:
        """For how long the watched one has been silent; None if that is not known."""
        watch = self._own.sight.watch
        return None if watch is None or watch.seen is None or watch.barred else max(0.0, now - watch.since)

    # -- burying: rules 11 and 13 ----------------------------------------------------------------------------------

    def _bury(self, watch: Watch) -> None:
        own, subject = self._own, watch.subject
        assert watch.seen is not None
        more = () if subject.check is None else (subject.check,)
        request = m.Multi((m.Check(subject.pulse, watch.seen), *more, m.Delete(own.path(subject.znode))))
        own.join.burying = own.who(subject.znode), watch.since
        own.ask(Purpose.BURY, request, subject.znode, subject.lease / CONFIRMS)

    def _take_buried(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        own, watch = self._own, self._own.sight.watch
        failure = answer.failure if isinstance(answer, m.Transacted) else (0, 0)
        if failure is None:
            self.buried += 1
            who, since = own.join.burying
            own.join.buried[asked.about] = now - since
            own.note(Remark.BURIED, who, now - since, own.settings.identity)
            self._gone(asked.about, now)
            return
        assert isinstance(asked.request, m.Multi)
        operations, (index, code) = asked.request.operations, failure
        if isinstance(operations[index], m.Delete) and code == NoNode.code:
            self._gone(asked.about, now)
        elif code == NoAuth.code:
            own.note(Remark.CANNOT_BURY, own.join.burying[0])
            if watch is not None:
                watch.barred = True
        elif not index and code == NoNode.code:
            self.beat(operations[0].path, None, now)
        elif not index and code == BadVersion.code:
            own.sight.watch = own.sight.attended = None  # it has beaten: start anew
        elif code in (NoNode.code, BadVersion.code):
            self._place.unsure()  # who has named it is gone, or says something else
        else:
            own.trouble(asked, answer, now)

    def _gone(self, znode: str, now: float) -> None:
        """The buried one's znode is not there any more."""
        sight = self._own.sight
        sight.watch = sight.attended = None
        self._place.learn_gone(znode, now)
        sight.gone_with = None
        if self._own.join.hold is not None:
            self._place.list_behind()

    def _take_heir(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        own = self._own
        if isinstance(answer, m.Data):
            own.sight.heir = Heir(asked.about, CandidateData.decode(answer.data))
        elif answer != NO_NODE:
            own.sight.attended = None  # ask again
            own.trouble(asked, answer, now)
        elif own.join.hold is not None:
            self._place.list_behind()

    def _take_pulse(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        self._own.pulse.made(answer)
        if self._own.pulse.stage is Stage.OFF:
            code = answer.code if isinstance(answer, m.Failed) else 0
            self._own.note(Remark.NO_PULSE, m.refusal(code, asked.request))


TAKERS: dict[Purpose, Callable[[Silence, Send, m.Answer, float, float], None]] = {
    Purpose.PULSE: Silence._take_pulse,
    Purpose.HEIR: Silence._take_heir,
    Purpose.BURY: Silence._take_buried,
}
"""What the answer to each of these requests means; see `lead.TAKERS`."""
