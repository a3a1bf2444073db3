"""A cluster to try things on: `python -m deploy.cluster COMMAND`, see --help.

It runs in containers if a Docker engine answers, else as processes of this machine. The variables that it heeds are in
deploy/settings.py. Exit codes: 0 done, 1 could not be done, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from types import FrameType
from typing import NoReturn, Protocol

from . import docker
from .asking import IS_LEADER, Takeover, get, takeover, wait_until
from .docker import DockerFleet
from .local import LocalFleet
from .processes import Keeper
from .settings import HOST, REPLICAS, ClusterError, Settings, say

MOST = 100
"""More replicas than this on one machine are a slip of the finger."""
RESTART_LIMIT = 30.0
"""Seconds that a graceful handover may take before we give up; it takes milliseconds."""
MARGIN = 5.0
"""Seconds that a failover may be late on a busy machine before we give up."""

LEADER_PAGE = {True: "the leader, whichever it is", False: "200 from the leader, 503 from a follower"}
"""What /leader is good for, by whether it is routed to the leader."""


class Fleet(Protocol):
    """What both ways of running a cluster can do; see there."""

    @property
    def mode(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def tick(self) -> float: ...
    @property
    def routed(self) -> bool: ...
    @property
    def spares_guardian(self) -> bool: ...
    def up(self, count: int) -> str: ...
    def down(self, forget: bool) -> str: ...
    def leader(self) -> str | None: ...
    def status(self, name: str) -> dict[str, object] | None: ...
    def others(self, name: str) -> bool: ...
    def names(self) -> list[str]: ...
    def shown(self, name: str) -> str: ...
    def check_up(self) -> None: ...
    def restart(self, name: str) -> None: ...
    def restarted(self, name: str) -> None: ...
    def kill(self, name: str) -> None: ...
    def ps(self) -> str: ...
    def logs(self, names: Sequence[str], follow: bool) -> None: ...


# -- commands ----------------------------------------------------------------------------------------------------------


def up(fleet: Fleet, count: int) -> None:
    """Start what is missing; return when one leads."""
    what = fleet.up(count)
    leader = leader_of(fleet)
    say(f"\nUp at http://{HOST}:{fleet.port}: {what}.\n{fleet.shown(leader)} leads.\n\nTry:")
    for command, effect in {
        f"http://{HOST}:{fleet.port}/": "the live page, in a browser: who leads, who is next, and why",
        f"curl localhost:{fleet.port}{IS_LEADER}": "one replica after the other: does it lead?",
        f"curl localhost:{fleet.port}/leader": LEADER_PAGE[fleet.routed],
        "make poll": "ten of the first",
        "make restart-leader": "another one leads within milliseconds",
        "make rolling-restart": "all of them, one after the other; the lead moves once",
        "make kill-leader": f"another one leads within {failover(fleet, leader)}",
        "make down": "stop everything",
    }.items():
        say(f"  {command:<52} {effect}")


def poll(fleet: Fleet, count: int) -> None:
    """Ask the load balancer some times."""
    fleet.check_up()
    hosts, leaders = set(), set()
    for _ in range(count):
        answer = get(fleet.port, IS_LEADER)
        if answer is None or answer[0] != 200:
            say("no answer" if answer is None else f"HTTP {answer[0]}")
            continue
        say(answer[1])
        host, _, leads = answer[1].rpartition(" - ")
        hosts.add(host)
        leaders |= {host} if leads == "True" else set()
    if not hosts:
        raise ClusterError(f"nobody answers at port {fleet.port}; `make up` starts what is missing")
    say(f"\n{len(hosts)} replicas answered; {', '.join(sorted(leaders)) or 'none of them'} said True.")


def restart_leader(fleet: Fleet) -> None:
    """Restart the leader gracefully, and time the handover."""
    fleet.check_up()
    old = leader_of(fleet)
    say(f"{fleet.shown(old)} leads, and is told to stop (SIGTERM).")
    others, began = fleet.others(old), time.monotonic()
    fleet.restart(old)
    # Alone it can only be followed by itself.
    taken = takeover(fleet.leader, old, began, RESTART_LIMIT) if others else None
    fleet.restarted(old)
    if others and taken is None:
        raise ClusterError(f"nobody leads {RESTART_LIMIT:g} s after that; `make logs` says more")
    say(told(fleet, taken) if taken else f"{fleet.shown(leader_of(fleet))} leads again: there is no other replica.")
    say(f"{fleet.shown(old)} is up again.")


def rolling_restart(fleet: Fleet, order: Sequence[str]) -> None:
    """Restart all replicas, one after the other, and count how often the lead moves.

    Args:
        fleet: whose.
        order: the names of the replicas; all but the leader, and then the leader, if it is empty.
    """
    fleet.check_up()
    names, leader = fleet.names(), leader_of(fleet)
    if unknown := [name for name in order if name not in names]:
        raise ClusterError(f"there is no {', '.join(unknown)}; there are: {', '.join(names)}")
    before = term_of(fleet)
    for name in order or [*(one for one in names if one != leader), leader]:
        leads = name == leader_of(fleet)
        fleet.restart(name)
        fleet.restarted(name)
        # Before it is a candidate again, nobody else may be restarted: it may be the one that takes over.
        if not wait_until(partial(queues, fleet, name), RESTART_LIMIT):
            raise ClusterError(
                f"{name} is not in the queue {RESTART_LIMIT:g} s after its restart; `make logs` says more"
            )
        say(f"{fleet.shown(name)} is in the queue again" + (f"; {leader_of(fleet)} leads." if leads else "."))
    moves = term_of(fleet) - before
    say(f"\n{len(order) or len(names)} replicas restarted; the lead moved {moves} times.".replace(" 1 times", " once"))


def kill_leader(fleet: Fleet) -> None:
    """Kill the leader, and time the failover."""
    fleet.check_up()
    old = leader_of(fleet)
    if not fleet.others(old):
        raise ClusterError(f"{old} is the only replica: nobody could take over; `make up` starts the others")
    bound = failover_bound(fleet, old)
    say(f"{fleet.shown(old)} leads, and is killed (SIGKILL): it can tell nobody that it goes.")
    if guarded(fleet, old):
        say(f"Its guardian sees that, and leaves for it. Without one this might take {bound:.1f} s.")
    else:
        say(f"Its session and its lease have to run out, so this may take {bound:.1f} s …")
    began = time.monotonic()
    fleet.kill(old)
    taken = takeover(fleet.leader, old, began, bound + MARGIN)
    if taken is None:
        raise ClusterError(f"nobody leads {bound + MARGIN:.0f} s after that; `make logs` says more")
    say(told(fleet, taken))
    say(f"{fleet.shown(old)} stays down until `make up`.")


# -- helpers -----------------------------------------------------------------------------------------------------------


def leader_of(fleet: Fleet) -> str:
    """Who leads; waits for the end of a handover that is under way.

    Raises:
        ClusterError: nobody does.
    """
    found: list[str] = []

    def led() -> bool:
        found[:] = [name for name in [fleet.leader()] if name is not None]
        return bool(found)

    if not wait_until(led, 20.0):
        raise ClusterError("nobody leads; `make logs` says why, `make up` starts what is missing")
    return found[0]


def term_of(fleet: Fleet) -> int:
    """The number of the term that runs."""
    known = fleet.status(leader_of(fleet)) or {}
    term = known.get("term")
    if not isinstance(term, int):
        raise ClusterError("nobody leads; `make logs` says why")
    return term


def queues(fleet: Fleet, name: str) -> bool:
    """Whether that replica is a candidate."""
    answer = get(fleet.port, "/candidates")
    return answer is not None and answer[0] == 200 and any(one["identity"] == name for one in json.loads(answer[1]))


def failover_bound(fleet: Fleet, leader: str) -> float:
    """Seconds within which another replica leads if this one is killed and nobody notices, of what it says itself.

    ZooKeeper ends its session on the tick after the timeout, or the one after that. Then its lease is waited out, and a
    tenth more for clocks.
    """
    known = fleet.status(leader) or {}
    session, lease = known.get("session"), known.get("lease")
    timeout = session.get("timeout") if isinstance(session, dict) else None
    timeout = timeout if isinstance(timeout, (int, float)) else 6.0
    lease = lease if isinstance(lease, (int, float)) else 3.0
    return timeout + 2 * fleet.tick + 1.1 * lease


def guarded(fleet: Fleet, leader: str) -> bool:
    """Whether this replica's guardian outlives it, of what it says itself."""
    session = (fleet.status(leader) or {}).get("session")
    return fleet.spares_guardian and isinstance(session, dict) and session.get("guardian") in ("starting", "running")


def failover(fleet: Fleet, leader: str) -> str:
    """How long a failover takes, in words."""
    return "milliseconds" if guarded(fleet, leader) else f"{failover_bound(fleet, leader):.1f} s"


def told(fleet: Fleet, taken: Takeover) -> str:
    """A takeover in words."""
    gap = f", {taken.gap * 1000:.0f} ms after the last True of the old one" if taken.gap < taken.after else ""
    return f"{fleet.shown(taken.leader)} leads: it answered True {taken.after * 1000:.0f} ms after the signal{gap}."


def find_fleet(settings: Settings, keeper: Keeper, command: str) -> Fleet:
    """The cluster that is up, or else the one that would be.

    Raises:
        ClusterError: that kind cannot be had here, or the other kind is up.
    """
    there = keeper.state.mode
    mode = settings.mode or there or ("local" if docker.problem() else "docker")
    if command == "up" and there and there != mode:
        raise ClusterError(f"the cluster is up with CLUSTER={there}; `make down` first")
    if mode == "local":
        return LocalFleet(settings, keeper)
    problem = docker.problem()
    if problem is not None:
        raise ClusterError(f"Docker cannot be used: {problem}; CLUSTER=local does without")
    return DockerFleet(settings, keeper)


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says."""
    settings = Settings.read(os.environ)
    keeper = Keeper(settings.state)
    command = arguments.command
    if command in ("up", "down", "restart-leader", "rolling-restart", "kill-leader"):
        with keeper.held():
            change(find_fleet(settings, keeper, command), arguments)
        if command == "down" and arguments.forget:
            keeper.erase()
        return
    fleet = find_fleet(settings, keeper, command)
    if command == "poll":
        poll(fleet, arguments.count)
    elif command == "logs":
        fleet.logs(arguments.names, arguments.follow)
    else:
        fleet.check_up()
        say(fleet.ps())


def change(fleet: Fleet, arguments: argparse.Namespace) -> None:
    """Do one of the commands that start or stop something."""
    if arguments.command == "up":
        up(fleet, arguments.count)
    elif arguments.command == "down":
        say(fleet.down(arguments.forget))
    elif arguments.command == "restart-leader":
        restart_leader(fleet)
    elif arguments.command == "rolling-restart":
        rolling_restart(fleet, arguments.names)
    else:
        kill_leader(fleet)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.cluster", description="A cluster to try things on.")
    commands = parser.add_subparsers(dest="command", required=True)

    def number(text: str) -> int:
        if not text.isdigit() or not 1 <= int(text) <= MOST:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST}")
        return int(text)

    starts = commands.add_parser("up", help="start what is missing; return when one leads")
    starts.add_argument("count", nargs="?", type=number, default=REPLICAS, metavar="N", help="how many replicas")
    ends = commands.add_parser("down", help="stop everything that up started")
    ends.add_argument("--forget", action="store_true", help="delete ZooKeeper's data and the logs as well")
    commands.add_parser("ps", help="what runs, and who leads")
    shows = commands.add_parser("logs", help="the ends of the logs")
    shows.add_argument("names", nargs="*", metavar="NAME")
    shows.add_argument("-f", "--follow", action="store_true", help="go on until interrupted")
    asks = commands.add_parser("poll", help="ask the load balancer who leads")
    asks.add_argument("count", nargs="?", type=number, default=10, metavar="N", help="how many times")
    commands.add_parser("restart-leader", help="restart the leader gracefully, and time the handover")
    rolls = commands.add_parser("rolling-restart", help="restart all replicas, one after the other")
    rolls.add_argument("names", nargs="*", metavar="NAME", help="in this order; the leader last if there is none")
    commands.add_parser("kill-leader", help="kill the leader, and time the failover")
    return parser.parse_args(arguments)


def main() -> int:
    """The command; returns its exit code."""
    arguments = parse(sys.argv[1:])

    def interrupted(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    # So that half a cluster is not left behind by any; a shell's background command begins with SIGINT ignored.
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    try:
        run(arguments)
    except ClusterError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
