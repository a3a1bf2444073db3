"""Order: this process's place in the queue, and who stands next to it. Pure; nothing is safe because of it.

Order rests on the queue (`queue`): one listing after the join, then one watch on the predecessor, as in ZooKeeper's
recipe for leader election.
 5. A holder's data name the candidate behind it, its heir, and the version v that it holds. It knows that candidate by
    one listing, or from its own appointment. One event and one read tell the heir of this, and so what to do next:
        it will be appointed      it keeps a confirm of its own znode warm, and watches for the notice
        - and the notice comes    it leads at once, and reads the record afterwards
        - and none comes          at the end of the holder's znode it reads the record, which decides
        it will not be            at the end of the holder's znode it claims on v + 1: odd, so it can only be a leave
    Broken by: "an heir that waits to be appointed does not read the record", "the heir claims on v, not on v + 1",
    "the first candidate is watched, not the predecessor", "nothing is watched anew after a reconnect",
    "a watch for existence, which stays behind on a znode that is gone".
 6. A lost reply is resolved by looking, never by sending again. What is looked at depends on the request:
        create, delete, leave, appoint, withdraw    the queue, behind a `sync`: without it a lagging server could hide a
                                                    create that is on its way. Until then the join is `uncertain`.
        claim                                       the record
        confirm                                     nothing: it does not count, and another one is sent
        a job's claim of a slot                     the job's ledger (`schedule.job`)
    What is found under this join's uuid is this session's (CURATOR-498): no join outlives its session, and each has its
    own uuid.
    Broken by: "what a lost reply left behind is looked for without a sync", "a create whose reply was lost is sent
    again blindly, and nobody looks for twins", "a join outlives its session, and takes what it made in the old one for
    its own (CURATOR-498)", "a join after an expiry keeps what was known of the old queue", "a session's end is
    believed: a znode that outlives it is not deleted", "a claim whose reply was lost is taken up under another term's
    number".
 7. Every few session timeouts everything is read again: an audit (the field says: anti-entropy). A difference that no
    event has shown is healed, counted and logged.
    Broken by: "an end is not told, and the next audit, which says nothing, finds it".

What answers mean for the place stands here (`TAKERS`; never `Lost`). What the predecessor says of the lead is for
`lead`, and what follows from standing first for `candidacy`.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import NoAuth, NodeExists, NoNode
from ...zookeeper import messages as m
from . import ends
from . import queue as q
from .candidate_data import NO_DATA, CandidateData
from .effects import ConfirmNow, Listing, Purpose, Remark, Send
from .state import AUDIT, NO_NODE, REJOIN, Role, Standing
from .story import Story


class Place:
    """See the module's docstring.

    Args:
        own: where we stand.
        story: what is remembered for people.
        jitter: from 0 to 1, spreads the audits of many candidates.
    """

    def __init__(self, own: Standing, story: Story, jitter: float) -> None:
        self._own, self._story, self._jitter = own, story, jitter
        settings = own.settings
        self._plain = CandidateData(settings.identity, settings.address, settings.started_at).encode()  # without a term
        self._barred: Send | None = None  # the lowest znode above the election's that we may not make

    # -- asking ----------------------------------------------------------------------------------------------------

    def queue_up(self) -> None:
        """Create our znode."""
        own = self._own
        create = m.Create(own.path(q.prefix(own.join.uuid)), self._plain, ephemeral=True, sequential=True)
        own.ask(Purpose.CREATE, create, pause=REJOIN if own.places_given_up else 0.0)

    def give_up(self) -> None:
        """Delete our znode, which holds nothing."""
        own = self._own
        assert own.join.znode is not None
        own.ask(Purpose.DELETE, m.Delete(own.path(own.join.znode)), own.join.znode)

    def list_queue(self) -> None:
        """Read who stands before us, and who behind."""
        self._own.ask(Purpose.LIST, m.GetChildren(self._own.settings.parent))

    def look(self) -> None:
        """Find out what a lost reply left behind, as of now and not of some time ago; rule 6."""
        own = self._own
        if not own.asking(Purpose.LIST):
            own.ask(Purpose.SYNC, m.Sync(own.settings.parent))
            own.ask(Purpose.LIST, m.GetChildren(own.settings.parent), Listing.LOOK)

    def watch(self, name: str) -> None:
        """Read this znode, and watch it for its end and its changes."""
        # A missing znode leaves no watch behind. The data changes once a term, when its owner has taken the lead.
        own = self._own
        if own.sight.armed != name and not own.asking(Purpose.WATCH):
            own.ask(Purpose.WATCH, m.GetData(own.path(name), watch=True), name)

    def know_heir(self) -> None:
        """A holder must know who stands behind it, to hand over by name."""
        own = self._own
        if own.join.behind is None:
            self._list_behind()
        elif not own.join.behind and not own.link.watches_joins:
            # Nobody does: watch for one. A holder that has an heir is not woken by what happens behind that one.
            own.ask(Purpose.LIST, m.GetChildren(own.settings.parent, watch=True), Listing.ALONE)

    # -- what happens ----------------------------------------------------------------------------------------------

    def somebody_joined(self) -> None:
        """Somebody has joined the queue, or left it."""
        own = self._own
        own.link.watches_joins = False
        if own.join.hold is not None and not own.join.departing:
            self._list_behind()

    def _list_behind(self) -> None:
        """Read who stands behind us, as we hold."""
        self._own.ask(Purpose.LIST, m.GetChildren(self._own.settings.parent), Listing.BEHIND)

    def unsure(self) -> None:
        """The znode that we watch, or ours, is not as we know it: it is to be read again."""
        self._own.sight.armed, self._own.sight.before = None, NO_DATA

    def learn_gone(self, name: str, now: float) -> None:
        """This znode does not exist any more."""
        own, join, sight = self._own, self._own.join, self._own.sight
        join.gone.setdefault(name, now)
        before, watched = NO_DATA, sight.armed == name
        if watched:
            before = sight.before
            self.unsure()
        if not join.queue.gone(name) or join.departing or join.hold is not None:
            return
        if join.queue.position:
            if before.version or not watched:  # it led before its turn, or may have, and may have given the lead to us
                own.read_record(Role.FOLLOWER)
            return
        sight.view = None
        if watched and sight.listed:
            sight.gone_with = before

    def _delete_twins(self, mine: list[str]) -> None:
        """Delete what else this join created."""
        own = self._own
        for name in mine:
            if name != own.join.znode:
                own.ask(Purpose.DELETE, m.Delete(own.path(name)), name)

    # -- what was asked --------------------------------------------------------------------------------------------

    def _take_parent(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        own = self._own
        code = answer.code if isinstance(answer, m.Failed) else NodeExists.code
        if code == NoNode.code and asked.about == own.settings.parent:
            # What is above it is missing too: only then are more writes needed than one.
            self._barred = None
            for path in q.above(own.settings.parent):
                own.ask(Purpose.PARENT, m.Create(path), "all" if path == own.settings.parent else path)
        elif code == NoAuth.code and asked.about not in (own.settings.parent, "all"):
            self._barred = asked  # of a znode that exists, too: the next answer shows whether that matters
        elif code == NoNode.code and self._barred is not None:
            own.trouble(self._barred, m.Failed(NoAuth.code), now)
        elif code != NodeExists.code:
            own.trouble(asked, answer, now)

    def _take_created(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        own = self._own
        if isinstance(answer, m.Created):
            own.join.znode = answer.path.rpartition("/")[2]
        elif answer == NO_NODE:
            own.ask(Purpose.PARENT, m.Create(own.settings.parent), own.settings.parent)
        else:
            own.trouble(asked, answer, now)

    def _take_synced(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        if isinstance(answer, m.Failed) and answer.code != NoNode.code:
            self._own.trouble(asked, answer, now)

    def _take_listed(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        own, join = self._own, self._own.join
        names: tuple[str, ...] = ()
        if isinstance(answer, m.Children):
            names = answer.names
        elif answer != NO_NODE:
            own.trouble(asked, answer, now)
            return
        everybody = q.in_order(names)
        self._story.queue_length = len(everybody)
        mine = q.of_join(everybody, join.uuid)
        if asked.about == Listing.LOOK:
            self._take_look(mine)
        elif join.departing:
            pass  # it was for a join that is over
        elif join.znode not in names:
            join.znode = None
            own.end_join(ends.DELETED, forfeited=True)
            own.note(Remark.PLACE_LOST)
        elif asked.about:
            own.link.watches_joins |= asked.about == Listing.ALONE
            self._take_behind(everybody)
        else:
            self._take_queue(everybody, mine, now)

    def _take_look(self, mine: list[str]) -> None:
        """What a lost reply left behind; rule 6."""
        join = self._own.join
        join.uncertain = False
        join.znode = mine[0] if mine else None
        if join.hold is not None:
            if join.hold.holder in mine:
                join.znode = join.hold.holder
            join.hold.forfeited |= join.hold.holder not in mine
        self._delete_twins(mine)

    def _take_queue(self, everybody: list[str], mine: list[str], now: float) -> None:
        """The whole queue; what it shows and no event has shown is healed (rule 7)."""
        own, join, sight = self._own, self._own.join, self._own.sight
        if join.hold is None and not own.asking(Purpose.CLAIM):
            join.znode = mine[0]  # of twins the lowest is kept
        self._delete_twins(mine)
        assert join.znode is not None
        # A watch event carries no zxid, so another server may be behind the one that sent it: what is gone stays gone.
        standing = [name for name in everybody if name not in join.gone]
        known = join.queue.known
        gone, unexplained = join.queue.listed(standing, join.znode)
        if sight.armed in gone or unexplained:
            self._story.heal(Remark.QUEUE_HEALED, sorted(unexplained) or sight.armed)
        for name in gone:
            join.gone.setdefault(name, now)
        if sight.armed in gone:
            self.unsure()
        sight.listed = own.let_in = True
        if sight.view is not None and sight.view.role is not Role.FIRST and known:
            sight.view = None  # as old as the last listing
        self._take_behind(standing)
        sight.audit_at = now + own.link.timeout * (AUDIT[0] + AUDIT[1] * self._jitter)

    def _take_behind(self, in_order: list[str]) -> None:
        """Who stands behind a holder; the next confirm names the first of them in our data."""
        own, join = self._own, self._own.join
        if join.hold is None or join.znode is None:
            return
        was, join.behind = join.behind, tuple(in_order[in_order.index(join.znode) + 1 :])
        if was is None or was[:1] != join.behind[:1]:
            own.commands.append(ConfirmNow())
        self.know_heir()

    def take_watch(self, asked: Send, answer: m.Answer, now: float) -> bool:
        """The answer to `watch` came; whether the znode is there, and `before` what it says."""
        own, join, sight = self._own, self._own.join, self._own.sight
        if isinstance(answer, m.Data):
            sight.armed, sight.before = asked.about, CandidateData.decode(answer.data)
            if sight.before.version and sight.before.heir == join.znode:
                join.queue.last_but(asked.about)
            return True
        if answer == NO_NODE:
            self.learn_gone(asked.about, now)
            if join.queue.position:
                sight.listed = False  # more may have gone unseen: one listing instead of a walk through the dead
        else:
            own.trouble(asked, answer, now)
        return False

    def _take_deleted(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        own = self._own
        if isinstance(answer, m.Failed) and answer.code != NoNode.code:
            own.trouble(asked, answer, now)
        elif asked.about == own.join.znode:
            own.join.znode = None


TAKERS: dict[Purpose, Callable[[Place, Send, m.Answer, float, float], None]] = {
    Purpose.PARENT: Place._take_parent,
    Purpose.CREATE: Place._take_created,
    Purpose.SYNC: Place._take_synced,
    Purpose.LIST: Place._take_listed,
    Purpose.DELETE: Place._take_deleted,
}
"""What the answer to each of these requests means. (The others are for `lead` and `handover`.)"""
