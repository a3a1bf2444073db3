"""What this process knows of its elections, for Prometheus; `GET /metrics` of the status service serves it.

In an application that has metrics of its own:

    prometheus_client.REGISTRY.register(leader_async.metrics.Collector(zk, [election], [jobs]))

Rules:
- Nothing is stored: gauges, `is_leader` too, are computed when they are collected, from what `/status` reads.
  Events are counted where they happen (`election.stats`, `zookeeper.stats`, `schedule.stats`), with a collector or not.
- Labels take few values: names of elections and jobs, and words of this library.
- ZooKeeper is asked nothing. The name of an election is its label, so no two may share one.

It does not promise that two replicas are read in the same instant: a sum over all of them is as exact as the times at
which Prometheus scrapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector as Base

from .connection import Connection
from .election.election import Election
from .election.rules.state import State
from .election.stats import ENDS, Changeover
from .election.status import Status
from .errors import UsageError
from .guardian.client import GuardianState
from .histogram import Histogram
from .schedule import Schedule
from .schedule.ledger import Outcome
from .version import version
from .zookeeper.messages import Cause

__all__ = ("Collector",)

PREFIX = "leader_async"


class Collector(Base):
    """The metrics of one connection, for a registry; a registry takes one of these.

    Args:
        connection: whose session and confirms are shown.
        elections: those of its elections that are shown; for partitions, better none than thousands.
        schedules: whose jobs are shown.

    Raises:
        UsageError: two of the elections have the same name.
    """

    def __init__(
        self, connection: Connection, elections: Iterable[Election] = (), schedules: Iterable[Schedule] = ()
    ) -> None:
        self._connection = connection
        self._elections, self._schedules = (*elections,), (*schedules,)
        names = [election.name for election in self._elections]
        if len(names) != len(set(names)):
            raise UsageError(f"metrics tell elections apart by name, and these are {names}: use a registry for each")

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client`."""
        known = {election: election.status() for election in self._elections}
        yield from _of_elections(known)
        yield from _of_the_session(self._connection)
        if self._schedules:
            yield from _of_jobs(self._schedules)


GAUGES: tuple[tuple[str, str, Callable[[Status], float | None]], ...] = (
    ("is_leader", "Whether this replica leads: computed from the lease's end.", lambda one: one.is_leader),
    ("term", "The number of this replica's term, while it has one.", lambda one: one.term),
    ("token", "The fencing token of that term.", lambda one: one.token),
    ("in_queue", "Whether this replica stands in the queue.", lambda one: one.in_queue),
    ("queue_position", "How many may stand before this replica.", lambda one: one.position),
    ("lease_seconds", "The lease of this replica.", lambda one: one.lease),
    ("lease_left_seconds", "Until the lease ends unless it is renewed.", lambda one: one.lease_left),
    ("overdue_seconds", "How far the work runs past the end of its lease; normally 0.", lambda one: one.overdue),
    ("alive", "0 once the candidacy has died of a bug.", lambda one: one.alive),
)  # fmt: skip


def _of_elections(known: Mapping[Election, Status]) -> Iterator[Metric]:
    label = ["election"]
    info = InfoMetricFamily(PREFIX, "Who this replica is.", labels=label)
    for election in known:
        info.add_metric([election.name], {"identity": election.identity, "version": version()})
    yield info
    for name, text, value in GAUGES:
        yield _gauge(name, text, label, {(one.election,): value(one) for one in known.values()})
    yield _gauge("state", "Where this replica stands.", [*label, "state"],
                 {(one.election, state.value): one.state is state
                  for one in known.values() for state in State})  # fmt: skip
    yield _gauge("queue_length", "Candidates in the queue when this replica last listed it.", label,
                 {(election.name,): election.candidacy.story.queue_length for election in known})  # fmt: skip
    yield _counter("terms", "Terms of this replica that have begun.", label,
                   {(election.name,): election.reporter.stats.terms for election in known})  # fmt: skip
    yield _counter("term_ends", "Terms of this replica that are over, by why, in the words of /history.",
                   [*label, "why"],
                   {(election.name, why.value): election.reporter.stats.ended[why]
                    for election in known for why in ENDS})  # fmt: skip
    yield _counter("suspensions", "Leases of this replica that ran out; such a term may have gone on.", label,
                   {(election.name,): election.reporter.stats.suspended for election in known})  # fmt: skip
    yield _counter("healed", "What a periodic look found although no event had told of it.", label,
                   {(one.election,): one.healed for one in known.values()})  # fmt: skip
    yield _histogram("handover_seconds", "From leading no more until the lead was given up: work ends, one write.",
                     label, {(election.name,): election.reporter.stats.handovers for election in known})  # fmt: skip
    yield _histogram("takeover_seconds", "From learning that the former leader was gone until leading, by how it went.",
                     [*label, "change"],
                     {(election.name, change.value): election.reporter.stats.takeovers[change]
                      for election in known for change in Changeover})  # fmt: skip


def _of_the_session(connection: Connection) -> Iterator[Metric]:
    session, stats, confirms = connection.client.status(), connection.client.stats, connection.stats
    yield _gauge("session_connected", "Whether a ZooKeeper server serves the session.", [], {(): session.connected})
    yield _gauge("session_changed_timestamp_seconds", "When that last changed.", [], {(): session.since})
    yield _gauge("session_timeout_seconds", "The session timeout that the server granted.", [], {(): session.timeout})
    yield _counter("connections", "Connections on which a server began, or resumed, the session.", ["session"],
                   {("begun",): stats.begun, ("resumed",): stats.resumed})  # fmt: skip
    yield _counter("connection_ends", "Connections that ended or did not come about, by cause.", ["cause"],
                   {(cause.value,): stats.ended[cause] for cause in Cause if cause is not Cause.CLOSED})  # fmt: skip
    yield _counter("session_expirations", "Sessions that a server said were over.", [], {(): stats.expired})
    yield _histogram("confirm_seconds", "How long ZooKeeper took to confirm.", [], {(): confirms.seconds})
    yield _counter("confirm_failures", "Confirms that were refused, or whose answer was lost.", ["outcome"],
                   {("refused",): confirms.refused, ("lost",): confirms.lost})  # fmt: skip
    yield _histogram("event_loop_lag_seconds", "How late the event loop rang the timers of the session.", [],
                     {(): stats.lag})  # fmt: skip
    yield _gauge("guardian_state", "What has become of the guardian.", ["state"],
                 {(state.value,): state is connection.guardian for state in GuardianState})  # fmt: skip


def _of_jobs(schedules: Iterable[Schedule]) -> Iterator[Metric]:
    label = ["election", "job_name"]  # not `job`: Prometheus has that label for itself
    jobs = {(one.election.name, name): job for one in schedules for name, job in one.counted()}
    yield _counter("job_runs", "Attempts of jobs in this replica, by outcome.", [*label, "outcome"],
                   {(*key, outcome.value): job.stats.runs[outcome]
                    for key, job in jobs.items() for outcome in Outcome})  # fmt: skip
    yield _gauge("job_running", "Whether an attempt is being made in this replica.", label,
                 {key: job.running for key, job in jobs.items()})  # fmt: skip
    yield _histogram("job_lateness_seconds", "From when a slot was due until its first attempt began.", label,
                     {key: job.stats.lateness for key, job in jobs.items()})  # fmt: skip
    yield _histogram("job_duration_seconds", "How long attempts took.", label,
                     {key: job.stats.seconds for key, job in jobs.items()})  # fmt: skip
    yield _gauge("job_last_done_timestamp_seconds", "When an attempt last succeeded, in whichever replica. "
                 "The leader tells it.", label, {key: job.done_at for key, job in jobs.items()})  # fmt: skip
    yield _gauge("job_due_timestamp_seconds", "When the next attempt is due; in the past if it should have begun. "
                 "The leader tells it, while none is being made.", label,
                 {key: job.due_at for key, job in jobs.items()})  # fmt: skip


def _gauge(name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], float | None]) -> Metric:
    """What is not known is left out."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for key, value in values.items():
        if value is not None:
            family.add_metric(key, value)
    return family


def _counter(name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _histogram(name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], Histogram]) -> Metric:
    family = HistogramMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for key, one in values.items():
        bounds = [*map(str, one.bounds), "+Inf"]
        family.add_metric(key, [*zip(bounds, accumulate(one.counts), strict=True)], one.total)
    return family
