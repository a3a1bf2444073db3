"""`leader-async doctor`: looks at a deployment and prints findings; `checks` judges."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import asdict
from typing import Any

import click

from .. import arguments, clock
from . import asking, checks
from . import options as options_of
from .asking import Declined, Target, ask, clock_time, in_time
from .checks import FAIL, OK, WARN, Finding
from .exits import Exit, print_lines

SAMPLES = 100
CONFIRMS = 5
"""An answer to a confirm may take a fifth of a lease."""


@asking.command
@click.option("--lease", default=None, type=click.FloatRange(arguments.SHORTEST, arguments.LONGEST), metavar="SECONDS",
              help="The lease that the replicas are given; with --repair the longest that one of them was given, "
              "whatever what is left of the record says.  [default: 3]")  # fmt: skip
@click.option("--repair", is_flag=True, help="Put right a record that cannot be read, after asking. With --lease also "
              "one that an earlier --repair wrote.")  # fmt: skip
@click.option("--yes", is_flag=True, help="With --repair: do not ask.")  # fmt: skip
def doctor(target: Target, lease: float | None, repair: bool, yes: bool) -> None:
    """Check a deployment: timeouts, servers, queue, clock, delays, who leads. Exit code 1 if something fails.

    With --repair nothing is checked: an election's record that cannot be read, so that nobody leads, is put right.
    """
    if target.url is not None:
        raise click.UsageError("doctor looks at ZooKeeper itself; give --zookeeper, not --url")
    if repair:
        _repair(target, lease, yes=yes)
        return
    findings = ask(_findings(target, options_of.DEFAULTS.lease if lease is None else lease))
    lines = [f"{one.level:<4}  {one.about}: {one.text}" for one in findings]
    asking.show(target, [asdict(one) for one in findings], *lines)
    if any(one.level == FAIL for one in findings):
        raise SystemExit(Exit.NO)


async def _findings(target: Target, lease: float) -> list[Finding]:
    async with asking.election_of(target) as (zk, election):
        status = zk.client.status()
        found = [Finding(OK, "ZooKeeper", f"connected to {status.server}"), checks.encryption(status.encryption)]
        found += checks.session(status.timeout_asked, status.timeout, lease)
        for server in zk.client.ensemble.servers:
            found += checks.server(str(server), await _conf(server.host, server.port, target), status.timeout)
        found += await in_time(target, _access(zk, election, target))
        found += await in_time(target, _queue(zk, election))
        has_clock = hasattr(time, "CLOCK_BOOTTIME")
        text = "CLOCK_BOOTTIME, which runs on while a machine sleeps"
        weak = "CLOCK_BOOTTIME is missing here: do not let this machine sleep while it leads"
        found.append(Finding(OK, "clock", text) if has_clock else Finding(WARN, "clock", weak))
        limit = lease / CONFIRMS
        remedy = "a confirm has a fifth of the lease: choose a longer lease, or a faster disk or network"
        lags, reads, writes = await in_time(target, _measured(zk, election))
        found.append(checks.times("event loop lag", lags, limit, "this machine is busy; give it more CPU"))
        found.append(checks.times("round trip", reads, limit, remedy))
        found.append(checks.times("confirm (quorum write)", writes, limit, remedy))
        return found


async def _access(zk: Any, election: Any, target: Target) -> list[Finding]:
    """What the access lists of the root and of the election allow."""
    from ..errors import NoAuth, NoNode
    from ..zookeeper import messages as m

    parent = election.candidacy.settings.parent
    found = []
    for about, path in (("access to the root", parent.rpartition("/")[0]), ("access to the election", parent)):
        try:
            access = (await zk.client.request(m.GetAccess(path))).access
        except NoNode:
            continue
        except NoAuth as error:
            found.append(Finding(FAIL, about, str(error)))
        else:
            secured = target.auth is not None
            found.append(checks.access(about, path, access, secured=secured, above=path != parent))
    return found


async def _queue(zk: Any, election: Any) -> list[Finding]:
    from ..election.rules import record as r
    from ..errors import NoAuth, NoNode, RecordError
    from ..zookeeper import messages as m

    parent = election.candidacy.settings.parent
    try:
        data = await zk.client.request(m.GetData(parent))
    except NoNode:
        return [Finding(WARN, "leader", f"there is no election {parent} yet: start a replica, or look at --election")]
    except NoAuth as error:
        return [Finding(FAIL, "leader", str(error))]
    record, found = r.Record(), await _listing(zk, parent, data.stat.children)
    if any(one.level == FAIL for one in found):
        return found
    candidates = await election.candidates()
    try:
        record = r.decode(data.data, data.stat.version, parent)
    except RecordError as error:
        found.append(Finding(FAIL, "record", str(error)))
    leader = next((one for one in candidates if one.is_leader), None)
    if leader is None:
        found.append(Finding(WARN if candidates else FAIL, "leader", "nobody leads" if candidates else
                             "nobody leads, and nobody stands in the queue: start a replica"))  # fmt: skip
    else:
        text = f"{leader.identity} leads, term {leader.term}, since {clock_time(data.stat.mtime)}"
        found.append(Finding(OK, "leader", text))
    return [*found, *checks.queue(candidates, record)]


async def _listing(zk: Any, parent: str, count: int) -> list[Finding]:
    from ..errors import ConnectionLost
    from ..zookeeper import messages as m

    broken = zk.client.stats.ended[m.Cause.PROTOCOL]
    try:
        return checks.listing(parent, count, (await zk.client.request(m.GetChildren(parent))).names)
    except ConnectionLost:
        if zk.client.stats.ended[m.Cause.PROTOCOL] == broken:  # else the list was longer than a frame may be
            raise
        await zk.wait_connected()
        return checks.listing(parent, count, None)


def _repair(target: Target, lease: float | None, *, yes: bool) -> None:
    from ..election.rules.record import PUT_RIGHT

    todo = ask(_planned(target, lease))
    print_lines(
        f"{todo.why}.",
        f"It is to say that a znode which does not exist holds term {todo.record.term}, with a lease of "
        f"{todo.record.lease:g} s, the longest that is known: {todo.source}.",
        f"So the first in the queue waits {todo.waits:g} s from then on, and leads term {todo.record.term + 1}.",
        "If a replica was given a longer lease, begin again with --lease.",
        err=True,
    )
    if not yes:
        click.confirm("Write it?", err=True, abort=True)
    ask(_written(target, todo))
    record, more = asdict(todo.record), {"path": todo.parent, "version": todo.version, "waits": round(todo.waits, 3)}
    data = {name: value for name, value in record.items() if name != "end"} | {"why": PUT_RIGHT} | more
    asking.show(target, data, f"the record of {todo.parent} is put right; somebody leads in about {todo.waits:g} s")


async def _planned(target: Target, lease: float | None) -> Any:
    from ..election import repair
    from ..errors import UsageError

    async with asking.election_of(target) as (zk, election):
        try:
            return await in_time(target, repair.plan(zk.client, election.parent, lease))
        except UsageError as error:
            raise Declined(str(error)) from error


async def _written(target: Target, todo: Any) -> None:
    from ..election import repair

    async with asking.election_of(target) as (zk, _):
        if not await in_time(target, repair.carry_out(zk.client, todo)):
            raise Declined("somebody has written the record meanwhile; nothing was done. Look again")


async def _measured(zk: Any, election: Any) -> tuple[list[float], list[float], list[float]]:
    """Seconds of this loop's lag, of reads, and of transactions that change nothing."""
    from ..errors import NoAuth
    from ..zookeeper import messages as m

    lags, reads, writes = [], [], []
    # Not the session's own histogram of lags: its alarms ring every third of a timeout, hardly once while this lasts.
    for _ in range(SAMPLES):
        begin = clock.now()
        await asyncio.sleep(0.001)
        lags.append(max(0.0, clock.now() - begin - 0.001))
        begin = clock.now()
        with contextlib.suppress(NoAuth):  # since 3.9 to read what one may not is refused, which takes as long
            await zk.client.request(m.Exists("/"))
        reads.append(clock.now() - begin)
        begin = clock.now()
        await zk.client.request(m.Multi((m.Check("/"),)))
        writes.append(clock.now() - begin)
    return lags, reads, writes


async def _conf(host: str, port: int, target: Target) -> str | None:
    """What a server answers to `conf`, None if it cannot be asked."""
    try:
        async with asyncio.timeout(1.0):
            context = target.tls.context() if target.tls is not None else None
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            try:
                writer.write(b"conf")
                return (await reader.read(65536)).decode(errors="replace")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
