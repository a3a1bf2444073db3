"""Mutants of burying: of the pulse, of what counts as silence, and of who is deleted for it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from leader_async.election.rules import confirm_rounds, silence
from leader_async.election.rules import pulse as pulses
from leader_async.election.rules.candidacy import Candidacy
from leader_async.election.rules.effects import Purpose, Send
from leader_async.election.rules.lead import Lead
from leader_async.election.rules.place import Place
from leader_async.election.rules.pulse import Pulse, PulseReads
from leader_async.election.rules.silence import Silence
from leader_async.election.rules.state import CONFIRMS, Sight, Standing
from leader_async.zookeeper import messages as m

from .rules import MUTANTS, both, instead, mutant

__all__ = ["MUTANTS"]


@mutant("a confirm does not raise the pulse: a healthy leader is buried")
def _not_raised() -> AbstractContextManager[Any]:
    return instead(Pulse, "raised", lambda own: None)


@mutant("burying does not check the pulse")
def _unchecked() -> AbstractContextManager[Any]:
    real = Standing.ask

    def ask(own: Standing, purpose: Purpose, request: m.Request, *more: Any, **options: Any) -> None:
        if purpose is Purpose.BURY and isinstance(request, m.Multi):
            request = m.Multi((m.Check(own.settings.parent), *request.operations[1:]))
        real(own, purpose, request, *more, **options)

    return instead(Standing, "ask", ask)


@mutant("silence is counted from when the reading was asked for")
def _from_sending() -> AbstractContextManager[Any]:
    asked: dict[pulses.PulseRead, float] = {}

    def reads(own: PulseReads[Any], now: float) -> list[pulses.PulseRead]:
        found = real_reads(own, now)
        asked.update(dict.fromkeys(found, now))
        return found

    def answered(own: PulseReads[Any], sent: pulses.PulseRead, answer: m.Answer, now: float) -> list[Any]:
        return real(own, sent, answer, asked.get(sent, now))

    real, real_reads = PulseReads.answered, PulseReads.reads
    return both(instead(PulseReads, "reads", reads), instead(PulseReads, "answered", answered))


@mutant("silence goes on though the pulse has moved")
def _moved() -> AbstractContextManager[Any]:
    real = Silence.beat

    def beat(own: Silence, path: str, version: int | None, now: float) -> bool:
        watch = own._own.sight.watch
        if watch is not None and watch.seen is not None and version is not None:
            watch.seen = version
        return real(own, path, version, now)

    return instead(Silence, "beat", beat)


@mutant("silence is remembered over a reconnect")
def _reconnect() -> AbstractContextManager[Any]:
    real = Standing.disconnected

    def disconnected(own: Standing) -> None:
        watch = own.sight.watch
        real(own)
        own.sight = Sight(watch=watch)

    def keep(own: Silence, now: float) -> None:
        watch = own._own.sight.watch
        attend(own, now)
        if watch is not None and own._own.sight.watch is None:
            own._own.sight.watch = watch

    def unsure(own: Any) -> None:
        watch = own._own.sight.watch
        real_unsure(own)
        own._own.sight.watch = watch

    attend, real_unsure = Silence.attend, Place.unsure
    return both(
        instead(Standing, "disconnected", disconnected),
        instead(Silence, "attend", keep),
        instead(Place, "unsure", unsure),
    )


@mutant("a pulse that is gone counts as silent")
def _gone() -> AbstractContextManager[Any]:
    real = Silence.beat

    def beat(own: Silence, path: str, version: int | None, now: float) -> bool:
        watch = own._own.sight.watch
        return real(own, path, watch.seen if version is None and watch is not None else version, now)

    return instead(Silence, "beat", beat)


@mutant("who buries has not proved that ZooKeeper serves")
def _unproved() -> AbstractContextManager[Any]:
    real = Silence.beat

    def beat(own: Silence, path: str, version: int | None, now: float) -> bool:
        said, watch = real(own, path, version, now), own._own.sight.watch
        if watch is not None and watch.seen is not None:
            watch.proved = watch.since
        return said

    return instead(Silence, "beat", beat)


@mutant("what was sent before the silence proves that ZooKeeper serves")
def _too_early() -> AbstractContextManager[Any]:
    return instead(Silence, "proved", lambda own, sent, now: _prove(own, now))


def _prove(own: Silence, now: float) -> None:
    watch = own._own.sight.watch
    if watch is not None and watch.seen is not None and watch.proved is None:
        watch.proved = now


@mutant("a holder whose work winds down confirms no more")
def _winding_down() -> AbstractContextManager[Any]:
    real: Any = Lead.__dict__["has_stake"]
    return instead(Lead, "has_stake", property(lambda own: not own._own.join.departing and real.fget(own)))


@mutant("who has buried does not wait the lease out")
def _no_wait() -> AbstractContextManager[Any]:
    real = Silence._gone

    def gone(own: Silence, znode: str, now: float) -> None:
        own._own.join.gone[znode] = float("-inf")
        real(own, znode, now)

    return instead(Silence, "_gone", gone)


@mutant("an heir confirms by its own lease, be it longer than the holder's")
def _own_lease() -> AbstractContextManager[Any]:
    def period(candidate: Candidacy) -> float:
        hold = candidate.hold
        return (candidate.settings.lease if hold is None else hold.lease) / CONFIRMS

    return instead(confirm_rounds, "_period", period)


@mutant("silence in one election counts in another")
def _shared() -> AbstractContextManager[Any]:
    known: dict[str, tuple[int | None, float]] = {}
    real = Silence.beat

    def beat(own: Silence, path: str, version: int | None, now: float) -> bool:
        said, watch = real(own, path, version, now), own._own.sight.watch
        if watch is not None and version is not None:
            seen, since = known.get(path, (None, now))
            known[path] = (version, since if seen == version else now)
            watch.since = min(watch.since, known[path][1])
        return said

    return instead(Silence, "beat", beat)


@mutant("a reading from before one was named counts as one from after that")
def _before_named() -> AbstractContextManager[Any]:
    real = PulseReads.answered

    def answered(own: PulseReads[Any], sent: pulses.PulseRead, answer: m.Answer, now: float) -> list[Any]:
        if (read := own._reads.get(sent.request.path)) is not None:
            read.late.clear()
        return real(own, sent, answer, now)

    return instead(PulseReads, "answered", answered)


@mutant("an heir's silence counts before it has ever confirmed")
def _never_beat() -> AbstractContextManager[Any]:
    real = Silence.due

    def due(own: Silence) -> float | None:
        if (watch := own._own.sight.watch) is not None:
            watch.beaten = True
        return real(own)

    return instead(Silence, "due", due)


@mutant("a round fails for ever, as one of its parts belongs to a holder that departs")
def _for_ever() -> AbstractContextManager[Any]:
    real = Lead.refused

    def refused(own: Lead, stake: Any, part: int, code: int) -> None:
        if stake.hold is None or stake.hold.end is None:
            real(own, stake, part, code)

    return instead(Lead, "refused", refused)


@mutant("a pulse that cannot be raised ends the term in front of it")
def _ends_a_term() -> AbstractContextManager[Any]:
    real = confirm_rounds.ConfirmRounds.answered

    def answered(own: Any, sent_round: Any, answer: m.Answer, sent: float, now: float) -> bool:
        if isinstance(answer, m.Transacted) and answer.failure is not None and sent_round.raises:
            index, code = answer.failure
            candidate, stake = sent_round.stakes[-1]
            if index == sent_round.last:
                candidate.refused(stake, len(stake.operations) - 1, code, now)
        return real(own, sent_round, answer, sent, now)

    return instead(confirm_rounds.ConfirmRounds, "answered", answered)


@mutant("who buries another's heir does not check that it is named still")
def _named_no_more() -> AbstractContextManager[Any]:
    real = Standing.ask

    def ask(own: Standing, purpose: Purpose, request: m.Request, *more: Any, **options: Any) -> None:
        if purpose is Purpose.BURY and isinstance(request, m.Multi):
            request = m.Multi((request.operations[0], request.operations[-1]))
        real(own, purpose, request, *more, **options)

    return instead(Standing, "ask", ask)


@mutant("what is being buried is claimed blindly")
def _blindly() -> AbstractContextManager[Any]:
    real = silence.TAKERS[Purpose.BURY]

    def take(own: Silence, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        before = own._own.sight.before
        real(own, asked, answer, sent, now)
        if asked.about in own._own.join.gone:
            own._own.sight.gone_with = before

    return mock.patch.dict(silence.TAKERS, {Purpose.BURY: take})


@mutant("an heir in doubt is appointed all the same")
def _doubted() -> AbstractContextManager[Any]:
    return instead(silence, "DOUBT", 0.9)
