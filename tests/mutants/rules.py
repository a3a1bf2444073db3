"""The mutants. Each is a context in which the library breaks one rule; nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

from leader_async.election.confirms import Confirms
from leader_async.election.rules import candidacy, lead, record
from leader_async.election.rules import confirm_rounds as keeper
from leader_async.election.rules import queue as q
from leader_async.election.rules.candidacy import Candidacy
from leader_async.election.rules.candidate_data import CandidateData
from leader_async.election.rules.effects import Purpose, Send
from leader_async.election.rules.ends import End
from leader_async.election.rules.handover import Handover
from leader_async.election.rules.lead import Lead
from leader_async.election.rules.lease import Hold, Stake
from leader_async.election.rules.place import Place
from leader_async.election.rules.state import Role, Standing, View, Work
from leader_async.election.rules.story import Story
from leader_async.election.transaction import Transaction
from leader_async.zookeeper import messages as m
from leader_async.zookeeper import session
from leader_async.zookeeper.session import Session

Mutant = Callable[[], AbstractContextManager[Any]]
MUTANTS: dict[str, Mutant] = {}


def mutant(name: str) -> Callable[[Mutant], Mutant]:
    """Enter a mutant into the list."""

    def enter(made: Mutant) -> Mutant:
        MUTANTS[name] = made
        return made

    return enter


def instead(owner: Any, name: str, new: Any) -> AbstractContextManager[Any]:
    """Another thing under this name; that there was one is made sure of."""
    assert hasattr(owner, name), f"{owner} has no {name} any more: mend the mutant"
    return mock.patch.object(owner, name, new)


# -- the lease ---------------------------------------------------------------------------------------------------------


@mutant("the lease counts from the answer's instant")
def _answer_instant() -> AbstractContextManager[Any]:
    real = Candidacy.confirmed
    return instead(Candidacy, "confirmed", lambda own, stake, sent, now: real(own, stake, now, now))


@mutant("a claim's lease counts from the answer's instant")
def _claim_instant() -> AbstractContextManager[Any]:
    real = lead.TAKERS[Purpose.CLAIM]

    def take(own: Lead, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        real(own, asked, answer, now, now)

    return mock.patch.dict(lead.TAKERS, {Purpose.CLAIM: take})


@mutant("the lease does not end")
def _no_end() -> AbstractContextManager[Any]:
    return instead(Hold, "leads", lambda own, now: not own.over)


@mutant("pings are trusted: any answer renews the lease")
def _pings() -> AbstractContextManager[Any]:
    real = Candidacy.answered

    def answered(own: Candidacy, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        if own.hold is not None and not own.hold.over and not isinstance(answer, m.Lost):
            own.hold.until = max(own.hold.until, now + own.settings.lease)
        real(own, asked, answer, sent, now)

    def ticking(own: Candidacy, now: float) -> None:
        # As one who is told "connected" does: for as long as nobody says otherwise.
        if own.hold is not None and not own.hold.over and own.own.link.session_id:
            own.hold.until = max(own.hold.until, now + own.settings.lease)
        tick(own, now)

    tick = Candidacy.tick
    return _both(instead(Candidacy, "answered", answered), instead(Candidacy, "tick", ticking))


@mutant("a refused confirm does not end the term")
def _refused() -> AbstractContextManager[Any]:
    return instead(Candidacy, "refused", lambda own, stake, part, code, now: own._advance(now))


@mutant("answers of a dropped connection count: a lost confirm renews")
def _lost_counts() -> AbstractContextManager[Any]:
    real = keeper.ConfirmRounds.answered

    def answered(own: Any, sent_round: Any, answer: m.Answer, sent: float, now: float) -> None:
        if isinstance(answer, m.Lost):
            answer = m.Transacted(())
        real(own, sent_round, answer, sent, now)

    return instead(keeper.ConfirmRounds, "answered", answered)


@mutant("a suspended term is revived by an answer that came after its end")
def _revived() -> AbstractContextManager[Any]:
    def confirmed(own: Candidacy, stake: Stake, sent: float, now: float) -> None:
        hold = stake.hold
        if hold is None:
            real(own, stake, sent, now)
        elif hold is own.hold:
            hold.end, hold.until = None, max(hold.until, sent + own.settings.lease)
        own._advance(now)

    real = Candidacy.confirmed
    return instead(Candidacy, "confirmed", confirmed)


@mutant("a candidacy that has died of a bug goes on confirming")
def _undead() -> AbstractContextManager[Any]:
    return instead(Candidacy, "die", lambda own, *, working: None)


# -- the record --------------------------------------------------------------------------------------------------------


@mutant("a confirm checks the record but not the own znode")
def _no_own() -> AbstractContextManager[Any]:
    return instead(record, "confirm", lambda parent, holder, version: (m.Check(parent, version),) * 2)


@mutant("ok is read from the header of a failed transaction")
def _header() -> AbstractContextManager[Any]:
    return _both(
        instead(m.Transacted, "ok", property(lambda own: True)),
        instead(m.Transacted, "failure", property(lambda own: None)),
        mock.patch.dict(lead.TAKERS, {Purpose.CLAIM: _header_claim}),
    )


def _header_claim(claimant: Lead, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    own = claimant._own
    own.sight.view = None
    if isinstance(answer, m.Transacted):
        holder, term, version = asked.about.split()
        last = answer.results[-1]
        token = last.stat.mzxid if isinstance(last, m.DataSet) else 0
        lease = own.settings.lease
        own.join.hold = Hold(holder, record.version_after_claim(int(version)), int(term), token, lease, sent + lease)


@mutant("a claim on `held` does not wait the lease out")
def _no_wait() -> AbstractContextManager[Any]:
    return instead(lead, "WAIT_OUT", 0.0)


@mutant("what is waited out is a little less than the lease")
def _wait_less() -> AbstractContextManager[Any]:
    return instead(lead, "WAIT_OUT", 0.5)


@mutant("an election's znode that was made anew is claimed at once")
def _anew_at_once() -> AbstractContextManager[Any]:
    return instead(Lead, "made_anew", property(lambda own: False))


@mutant("waiting out begins with the reading of the record, not with the end of the znode")
def _wait_from_view() -> AbstractContextManager[Any]:
    def end(own: Lead) -> float | None:
        view, seen = own._own.sight.view, own._story.seen
        if view is None or view.record is None or view.role is not Role.FIRST or own._own.join.hold is not None:
            return None
        return None if seen is None else seen[1] + 1.1 * view.record.lease

    def take(own: Lead, now: float) -> None:
        view = own._own.sight.view
        if view is not None and view.role is Role.FIRST and view.record is not None:
            own._own.join.gone.setdefault(view.record.holder, now)
        real(own, now)

    real = Lead.take
    return _both(instead(Lead, "wait_out_end", end), instead(Lead, "take", take))


@mutant("no version parity: the heir's blind v + 1, after a stale read of `none`, meets a term")
def _no_parity() -> AbstractContextManager[Any]:
    # Either rule holds without the other: that the heir claims only on its predecessor's own term, and that v + 1 is
    # nothing but a leave. So this one breaks both.
    def claim(parent: str, own: record.Record, version: int) -> m.Multi:
        return m.Multi((m.Check(f"{parent}/{own.holder}"), m.SetData(parent, record.encode(own), version)))

    def decode(data: bytes, version: int, path: str) -> record.Record:
        # Nor does anybody look at it.
        state = record.LeadState.LEFT if b'"state":"left"' in data else record.LeadState.HELD
        return real(data, 1 if state is record.LeadState.LEFT else 2, path) if version else record.Record()

    def learn(own: Place, name: str, now: float) -> None:
        view, join, sight = own._own.sight.view, own._own.join, own._own.sight
        was = join.queue.predecessor
        real_learn(own, name, now)
        ready = sight.listed and join.hold is None and not join.departing and not join.queue.position
        if view is not None and view.version == 0 and was == name and ready:
            sight.gone_with = sight.gone_with or CandidateData()

    def unread(own: Lead, before: CandidateData) -> bool:
        if real_unread(own, before):
            return True
        own._claim(1, 1)
        return True

    real, real_learn, real_unread = record.decode, Place.learn_gone, Lead._claim_unread
    return _both(
        instead(record, "claim", claim),
        instead(record, "version_after_claim", lambda version: version + 1),
        instead(record, "decode", decode),
        instead(Place, "learn_gone", learn),
        instead(Lead, "_claim_unread", unread),
    )


@mutant("the heir claims on v, not on v + 1")
def _heir_v() -> AbstractContextManager[Any]:
    def unread(own: Lead, before: CandidateData) -> bool:
        if claims := real(own, before):
            claim = own._own.commands.pop()
            assert isinstance(claim, Send)
            own._own.asked.discard((claim.purpose, claim.about))
            own._claim(1, before.version)
        return claims

    real = Lead._claim_unread
    return instead(Lead, "_claim_unread", unread)


@mutant("a claim does not check the own znode")
def _claim_no_own() -> AbstractContextManager[Any]:
    real = record.claim

    def claim(parent: str, own: record.Record, version: int) -> m.Multi:
        return m.Multi((m.Check(parent), *real(parent, own, version).operations[1:]))

    return instead(record, "claim", claim)


@mutant("a claim whose reply was lost is taken up under another term's number")
def _lost_claim() -> AbstractContextManager[Any]:
    real = Lead.adopt

    def adopt(own: Lead, view: View, now: float) -> None:
        assert view.record is not None
        record = view.record if view.record.token else replace(view.record, term=view.record.term + 1)
        real(own, replace(view, record=record), now)

    return instead(Lead, "adopt", adopt)


@mutant("a lost claim is taken up as soon as the record names anybody's term at that version")
def _anybodys() -> AbstractContextManager[Any]:
    def held_by(own: View, name: str | None) -> bool:
        return name is not None and own.record is not None and own.record.state is record.LeadState.HELD

    return instead(View, "held_by", held_by)


# -- what a term proves ------------------------------------------------------------------------------------------------


@mutant("a confirm that was sent before the question answers it")
def _old_confirm() -> AbstractContextManager[Any]:
    real = Confirms._answer_waiting
    return instead(Confirms, "_answer_waiting", lambda own, due, number, answer: real(own, due, own._sent + 1, answer))


@mutant("a transaction does not check the own znode")
def _transaction_no_own() -> AbstractContextManager[Any]:
    real = Transaction.__init__

    def begin(own: Transaction, *arguments: Any) -> None:
        real(own, *arguments)
        del own._operations[0]
        own._checks -= 1

    return instead(Transaction, "__init__", begin)


@mutant("a transaction does not check the record")
def _transaction_no_record() -> AbstractContextManager[Any]:
    real = Transaction.__init__

    def begin(own: Transaction, *arguments: Any) -> None:
        real(own, *arguments)
        del own._operations[1]
        own._checks -= 1

    return instead(Transaction, "__init__", begin)


# -- leaving -----------------------------------------------------------------------------------------------------------


@mutant("the place is given up before the work has ended")
def _leave_early() -> AbstractContextManager[Any]:
    real = Candidacy._depart

    def depart(own: Candidacy) -> None:
        work, own.own.work = own.own.work, Work.NONE
        real(own)
        own.own.work = work

    return instead(Candidacy, "_depart", depart)


@mutant("`left` is written while the term goes on")
def _left_too_soon() -> AbstractContextManager[Any]:
    def end(own: Standing, why: End, *, forfeited: bool = False) -> None:
        own.join.departing = True
        if own.join.hold is not None:
            own.join.hold.forfeited |= forfeited

    return _both(instead(Standing, "end_join", end), _leave_early())


@mutant("a new place is taken while the old work runs")
def _join_early() -> AbstractContextManager[Any]:
    real = Candidacy._take_part

    def take_part(own: Candidacy, now: float) -> None:
        work, own.own.work = own.own.work, Work.NONE
        real(own, now)
        own.own.work = work if own.own.work is Work.NONE else own.own.work

    return _both(instead(Candidacy, "_take_part", take_part), _leave_early())


# -- handing over by name ----------------------------------------------------------------------------------------------


@mutant("who was appointed leads from when it reads so, or gets notice, without a confirm")
def _unproven() -> AbstractContextManager[Any]:
    read, told = Lead.adopt, Lead.take_notice

    def adopt(own: Lead, view: View, now: float) -> None:
        own._own.join.warm = now
        read(own, view, now)

    def take_notice(own: Lead, name: str, now: float) -> None:
        own._own.join.warm = now
        told(own, name, now)

    return _both(instead(Lead, "adopt", adopt), instead(Lead, "take_notice", take_notice))


@mutant("an appointment leaves the record at an odd version")
def _odd() -> AbstractContextManager[Any]:
    real = record.appointment

    def appointment(*arguments: Any, **named: Any) -> m.Multi:
        return m.Multi(real(*arguments, **named).operations[:-1])

    return instead(record, "appointment", appointment)


@mutant("who is appointed goes on with the token of the term before")
def _same_token() -> AbstractContextManager[Any]:
    real = record.appointment

    def appointment(parent: str, own: str, made: record.Record, *arguments: Any, **named: Any) -> m.Multi:
        return real(parent, own, replace(made, token=made.token - 1), *arguments, **named)

    return instead(record, "appointment", appointment)


@mutant("who holds before its turn hands over to whoever stands behind it")
def _passed_over() -> AbstractContextManager[Any]:
    return instead(Handover, "in_turn", property(lambda own: own._own.join.hold is not None))


@mutant("who is appointed behind others is not told")
def _untold() -> AbstractContextManager[Any]:
    real = record.appointment
    return instead(record, "appointment", lambda *arguments, **named: real(*arguments[:4], **named))


@mutant("an heir that waits to be appointed does not read the record")
def _deaf() -> AbstractContextManager[Any]:
    real = Lead.take

    def take(own: Lead, now: float) -> None:
        if not own._own.join.named_at:
            real(own, now)

    return instead(Lead, "take", take)


# -- the queue ---------------------------------------------------------------------------------------------------------


@mutant("a create whose reply was lost is sent again blindly, and nobody looks for twins")
def _blind() -> AbstractContextManager[Any]:
    return _both(instead(candidacy, "CHANGES", set()), instead(Place, "_delete_twins", lambda own, mine: None))


@mutant("what a lost reply left behind is looked for without a sync")
def _no_sync() -> AbstractContextManager[Any]:
    def look(own: Place) -> None:
        if not own._own.asking(Purpose.LIST):
            own._own.ask(Purpose.LIST, m.GetChildren(own._own.settings.parent), "look")

    return instead(Place, "look", look)


@mutant("the queue is listed before the own create")
def _list_before() -> AbstractContextManager[Any]:
    real = q.Queue.listed

    def listed(own: q.Queue, names: Iterable[str], mine: str) -> tuple[set[str], set[str]]:
        # What a listing before the create shows: nobody who came between it and the create.
        shown = [name for name in q.in_order(names) if name != mine]
        return real(own, [*shown[:-1], mine] if len(shown) > 1 else [mine], mine)

    return instead(q.Queue, "listed", listed)


@mutant("nothing is watched anew after a reconnect")
def _keep_armed() -> AbstractContextManager[Any]:
    real = Candidacy.disconnected

    def disconnected(own: Candidacy, now: float) -> None:
        armed = own.own.sight.armed
        real(own, now)
        own.own.sight.armed = armed

    return instead(Candidacy, "disconnected", disconnected)


@mutant("an end is not told, and the next audit, which says nothing, finds it")
def _audited_only() -> AbstractContextManager[Any]:
    real = Candidacy.watched

    def watched(own: Candidacy, event: m.Watched, now: float) -> None:
        if event.change is not m.EventType.DELETED:
            real(own, event, now)

    return _both(
        instead(Candidacy, "watched", watched),
        instead(Lead, "take_notice", lambda own, name, now: None),
        instead(Story, "heal", lambda own, text: None),
    )


@mutant("the first candidate is watched, not the predecessor")
def _herd() -> AbstractContextManager[Any]:
    def predecessor(own: q.Queue) -> str | None:
        return own._ahead[0] if own._ahead else None

    return instead(q.Queue, "predecessor", property(predecessor))


@mutant("a watch for existence, which stays behind on a znode that is gone")
def _exists() -> AbstractContextManager[Any]:
    def watch(place: Place, name: str) -> None:
        own = place._own
        if own.sight.armed != name and not own.asking(Purpose.WATCH):
            own.ask(Purpose.WATCH, m.Exists(own.path(name), watch=True), name)

    def take(own: Lead, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        real(own, asked, m.Data(b"", answer.stat) if isinstance(answer, m.Found) else answer, sent, now)

    real = lead.TAKERS[Purpose.WATCH]
    return _both(instead(Place, "watch", watch), mock.patch.dict(lead.TAKERS, {Purpose.WATCH: take}))


@mutant("a join outlives its session, and takes what it made in the old one for its own (CURATOR-498)")
def _any_owner() -> AbstractContextManager[Any]:
    return instead(Candidacy, "expired", lambda own, now: own._advance(now))


@mutant("a session's end is believed: a znode that outlives it is not deleted")
def _ghost() -> AbstractContextManager[Any]:
    def expired(own: Candidacy, now: float) -> None:
        own.own.join.znode, own.own.join.uncertain = None, False
        real(own, now)

    real = Candidacy.expired
    return instead(Candidacy, "expired", expired)


@mutant("a join after an expiry keeps what was known of the old queue")
def _old_queue() -> AbstractContextManager[Any]:
    real = Standing.over

    def over(own: Standing) -> None:
        queue, gone = own.join.queue, own.join.gone
        real(own)
        own.join.queue, own.join.gone = queue, gone
        own.sight.listed = queue.known

    return instead(Standing, "over", over)


# -- the session -------------------------------------------------------------------------------------------------------


@mutant("a server that says that the session has moved is kept (ZOOKEEPER-710)")
def _moved() -> AbstractContextManager[Any]:
    class Never:
        code = 1

    return _both(instead(session, "SessionMoved", Never), instead(session, "SessionExpired", Never))


@mutant("any session that a server grants is taken for ours")
def _any_session() -> AbstractContextManager[Any]:
    real = Session._receive_accepted

    def accepted(own: Session, answer: m.Accepted, now: float) -> None:
        if own.session_id and answer.session_id == 0:
            own.drop("refused", m.Cause.NETWORK)
            return
        real(own, answer, now)

    return instead(Session, "_receive_accepted", accepted)


@mutant("what is asked of a server that is given up is told twice")
def _twice() -> AbstractContextManager[Any]:
    real = Session.drop

    def drop(own: Session, *arguments: Any) -> None:
        asked = tuple(own._asked)
        real(own, *arguments)
        own._asked.extend(asked)

    return instead(Session, "drop", drop)


@mutant("a server that has lost its data is asked for the old session for ever (aiozk#28)")
def _wiped() -> AbstractContextManager[Any]:
    return instead(session, "PATIENCE", 10**9)


@mutant("a new session that is granted after an outage is taken for the end of ours")
def _granted() -> AbstractContextManager[Any]:
    real = Session._receive_accepted

    def accepted(own: Session, answer: m.Accepted, now: float) -> None:
        own._anew = own._anew and answer.session_id == 0
        real(own, answer, now)

    return instead(Session, "_receive_accepted", accepted)


@mutant("what is unanswered when a connection ends is never told")
def _forgotten() -> AbstractContextManager[Any]:
    real = Session.drop

    def drop(own: Session, *arguments: Any) -> None:
        own._asked.clear()
        real(own, *arguments)

    return instead(Session, "drop", drop)


@contextmanager
def _both(*parts: AbstractContextManager[Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for part in parts:
            stack.enter_context(part)
        yield
