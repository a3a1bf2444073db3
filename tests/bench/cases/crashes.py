"""What cannot be handed over: the leader is killed, the leader is frozen, ZooKeeper's own leader is killed.

- After kill -9 and SIGSTOP: from the signal to the instant at which the next one knows that it leads. Two candidates of
  each system, in processes of their own.
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


async def kills(bench: Bench) -> list[Figure]:
    """kill -9 and SIGSTOP of the leader."""
    async with bench.zookeeper() as zookeeper:
        figures = await asyncio.gather(
            _crash(bench, zookeeper, 4.0, signal.SIGKILL, "kill -9, session timeout 4 s"),
            _crash(bench, zookeeper, 10.0, signal.SIGKILL, "kill -9, session timeout 10 s"),
            _crash(bench, zookeeper, 4.0, signal.SIGSTOP, "SIGSTOP, session timeout 4 s"),
        )
    return [figure for some in figures for figure in some]


async def _crash(bench: Bench, zookeeper: ZooKeeper, timeout: float, number: signal.Signals, case: str) -> list[Figure]:
    made = [
        Fleet(system, zookeeper.address, bench.folder, processes=2, timeout=timeout, words=("guardian",))
        for system in bench.systems
    ]
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


async def _hit(fleet: Fleet, number: signal.Signals, pause: float, taken: list[float]) -> None:
    await asyncio.sleep(pause)
    leader = fleet.leader
    assert leader is not None
    fleet.forget("leads")
    at = time.monotonic()
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
