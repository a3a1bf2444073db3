"""What cannot be handed over: the leader is killed, the leader is frozen, ZooKeeper's own leader is killed.

- After kill -9 and SIGSTOP: from the signal to the instant at which the next one knows that it leads. Two candidates of
  each system, in processes of their own. Leases matter to ours only; the others are shown beside each.
- Resigning to an heir that is frozen: from the call to the instant at which the third one knows that it leads.
- After kill -9 of ZooKeeper's leader: for how long nobody held the election's lead, as its candidates know it, and from
  the kill to the end of a handover that is asked for 0.2 s after it.

All systems are hit in the same minute, each as often as the next.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time

from ...support.zookeeper import Server
from ..bench import TICK, Bench, ZooKeeper
from ..candidates.ours import has_guardian
from ..figures import Figure
from ..fleet import Failure, Fleet
from ..systems import LIMIT, OURS

SILENCES = ((4.0, 1.0), (10.0, 1.0), (4.0, 2.0), (10.0, 2.0))
"""Session timeouts and leases, in seconds, with which leaders fall silent."""


async def kills(bench: Bench) -> list[Figure]:
    """kill -9 and SIGSTOP of the leader."""
    async with bench.zookeeper() as zookeeper:
        figures = await asyncio.gather(
            _crash(bench, zookeeper, 4.0, signal.SIGKILL, "kill -9, session timeout 4 s"),
            _crash(bench, zookeeper, 10.0, signal.SIGKILL, "kill -9, session timeout 10 s"),
        )
    return [figure for some in figures for figure in some]


async def silences(bench: Bench) -> list[Figure]:
    """The leader is frozen, or killed with its guardian; it resigns to an heir that is frozen."""
    figures: list[Figure] = []
    async with bench.zookeeper(3) as zookeeper:
        for timeout, lease in SILENCES[: bench.some(1, len(SILENCES))]:
            of = f"session timeout {timeout:g} s, lease {lease:g} s"
            some = await asyncio.gather(
                _crash(bench, zookeeper, timeout, signal.SIGSTOP, f"SIGSTOP, {of}", lease),
                _crash(bench, zookeeper, timeout, None, f"killed with its guardian, {of}", lease),
                _frozen_heir(bench, zookeeper, timeout, lease, f"resigned to a frozen heir, {of}"),
            )
            figures += [figure for one in some for figure in one]
    return figures


def _fleets(bench: Bench, zookeeper: ZooKeeper, processes: int, timeout: float, lease: float | None) -> list[Fleet]:
    words = ("guardian", *([] if lease is None else [f"lease={lease}"]))
    return [
        Fleet(system, zookeeper.address, bench.folder, processes=processes, timeout=timeout, words=words)
        for system in bench.systems
    ]


async def _crash(
    bench: Bench,
    zookeeper: ZooKeeper,
    timeout: float,
    number: signal.Signals | None,
    case: str,
    lease: float | None = None,
) -> list[Figure]:
    """The leader gets this signal, or is killed with all that it has started if None."""
    made = _fleets(bench, zookeeper, 2, timeout, lease)
    async with bench.fleets(made, zookeeper) as attempts:
        times: dict[str, list[float]] = {fleet.system: [] for fleet in attempts.alive}
        for fleet in attempts.alive:
            await attempts.attempt(fleet, _stand(zookeeper, fleet))
        for repetition in range(bench.some(1, 10)):
            if repetition:
                for fleet in attempts.alive:
                    await attempts.attempt(fleet, _replace(zookeeper, fleet))
            # Sessions end on a tick: nobody may always be hit at the same distance from one.
            await asyncio.gather(
                *(
                    attempts.attempt(fleet, _hit(fleet, number, random.uniform(0, TICK), times[fleet.system]))
                    for fleet in attempts.alive
                )
            )
    guardian = {"guardian": float(has_guardian())}
    figures = [Figure(case, one, taken, guardian if one == OURS else {}) for one, taken in times.items() if taken]
    return figures + attempts.figures(case)


async def _stand(zookeeper: ZooKeeper, fleet: Fleet) -> None:
    fleet.order(0, "join", 0)
    await fleet.led()
    fleet.order(1, "join", 0)
    await zookeeper.joined(fleet, 2)
    await asyncio.sleep(0.2)


async def _hit(fleet: Fleet, number: signal.Signals | None, pause: float, taken: list[float]) -> None:
    await asyncio.sleep(pause)
    leader = fleet.leader
    assert leader is not None
    fleet.forget("leads")
    at = time.monotonic()
    if number is None:
        fleet.kill_all_of(leader.worker)
    else:
        fleet.signal(leader.worker, number)
    after = await fleet.led()
    if after.worker == leader.worker:
        raise Failure("the leader that was hit led again")
    taken.append((after.at - at) * 1000)


async def _replace(zookeeper: ZooKeeper, fleet: Fleet) -> None:
    """A new one for the one that was hit: the last one that there is beside the leader."""
    leader = fleet.leader
    assert leader is not None
    await fleet.end(max(worker for worker in range(fleet.spawned) if worker != leader.worker))
    new = await fleet.spawn()
    fleet.order(new, "join", 0)
    await zookeeper.joined(fleet, 2)
    await asyncio.sleep(0.2)


async def _frozen_heir(bench: Bench, zookeeper: ZooKeeper, timeout: float, lease: float, case: str) -> list[Figure]:
    made = _fleets(bench, zookeeper, 3, timeout, lease)
    async with bench.fleets(made, zookeeper) as attempts:
        times: dict[str, list[float]] = {fleet.system: [] for fleet in attempts.alive}
        queues = {fleet.system: [0, 1, 2] for fleet in attempts.alive}
        for fleet in attempts.alive:
            await attempts.attempt(fleet, _queue_up(zookeeper, fleet))
        for repetition in range(bench.some(1, 10)):
            if repetition:
                for fleet in attempts.alive:
                    await attempts.attempt(fleet, _complete(zookeeper, fleet, queues[fleet.system]))
            await asyncio.gather(
                *(
                    attempts.attempt(
                        one, _resign_to_frozen(one, queues[one.system], random.uniform(0, lease), times[one.system])
                    )
                    for one in attempts.alive
                )
            )
    return [Figure(case, system, taken) for system, taken in times.items() if taken] + attempts.figures(case)


async def _queue_up(zookeeper: ZooKeeper, fleet: Fleet) -> None:
    for worker in range(3):
        fleet.order(worker, "join", 0)
        if not worker:
            await fleet.led()
        await zookeeper.joined(fleet, worker + 1)
    await asyncio.sleep(1.0)


async def _resign_to_frozen(fleet: Fleet, queue: list[int], pause: float, taken: list[float]) -> None:
    """The heir is frozen, and a while later the leader gives the lead up; then the third one leads."""
    leader, heir, third = queue
    fleet.signal(heir, signal.SIGSTOP)
    await asyncio.sleep(pause)
    fleet.forget("leads")
    at = time.monotonic()
    fleet.order(leader, "resign", 0)
    fleet.leader = await fleet.said("leads", worker=third)
    taken.append((fleet.leader.at - at) * 1000)
    queue[:] = [third, leader]
    await fleet.end(heir)


async def _complete(zookeeper: ZooKeeper, fleet: Fleet, queue: list[int]) -> None:
    """Another one for the one that was frozen."""
    await zookeeper.joined(fleet, 2)
    queue.append(await fleet.spawn())
    fleet.order(queue[-1], "join", 0)
    await zookeeper.joined(fleet, 3)
    await asyncio.sleep(1.0)


async def zookeeper_leader_killed(bench: Bench) -> list[Figure]:
    """kill -9 of the ensemble's leader."""
    held, again = "ZooKeeper's leader killed: nobody led", "ZooKeeper's leader killed: until a handover is done"
    nobody: dict[str, list[float]] = {}
    done: dict[str, list[float]] = {}
    async with bench.zookeeper(3) as zookeeper:
        # Bare sockets know nothing of other servers.
        systems = [system for system in bench.systems if system != LIMIT]
        made = [Fleet(system, zookeeper.address, bench.folder, processes=3) for system in systems]
        async with bench.fleets(made, zookeeper) as attempts:
            for fleet in attempts.alive:
                await attempts.attempt(fleet, _stand_three(zookeeper, fleet))
            killed: Server | None = None
            for _ in range(bench.some(1, 5)):
                await _back(killed)
                killed, at = await _kill_leader(zookeeper)
                await asyncio.sleep(bench.some(5, 20))
                for fleet in attempts.alive:
                    await attempts.attempt(fleet, _leaderless(fleet, at, nobody.setdefault(fleet.system, [])))
                await _back(killed)
                killed, at = await _kill_leader(zookeeper)
                await asyncio.sleep(0.2)
                alive = attempts.alive
                await asyncio.gather(
                    *(attempts.attempt(one, _again(one, at, done.setdefault(one.system, []))) for one in alive)
                )
    figures = [Figure(held, system, times) for system, times in nobody.items() if times]
    figures += [Figure(again, system, times) for system, times in done.items() if times]
    return figures + attempts.figures(again)


async def _stand_three(zookeeper: ZooKeeper, fleet: Fleet) -> None:
    fleet.join_all()
    await fleet.led()
    await zookeeper.joined(fleet, 3)


async def _kill_leader(zookeeper: ZooKeeper) -> tuple[Server, float]:
    leader = await zookeeper.leader()
    at = time.monotonic()
    leader.kill()
    return leader, at


async def _back(killed: Server | None) -> None:
    """Start a server again, and give everybody time to settle."""
    if killed is not None:
        await killed.start_ready()
        await asyncio.sleep(3)


async def _leaderless(fleet: Fleet, since: float, taken: list[float]) -> None:
    """Add up the times between one that leads no more and the next one that leads."""
    leading, began, total = True, 0.0, 0.0
    for said in sorted(fleet.heard(), key=lambda said: said.at):
        if said.at < since or said.what not in ("ends", "leads"):
            continue
        if said.what == "ends" and leading:
            leading, began = False, said.at
        elif said.what == "leads":
            total += 0.0 if leading else said.at - began
            leading, fleet.leader = True, said
    fleet.forget("ends")
    fleet.forget("leads")
    if not leading:
        raise Failure("in the end nobody led any more")
    taken.append(total * 1000)


async def _again(fleet: Fleet, killed: float, taken: list[float]) -> None:
    await fleet.handover()
    assert fleet.leader is not None
    taken.append((fleet.leader.at - killed) * 1000)
    fleet.forget("ends")
