"""The cluster as processes of this machine: ZooKeeper, the replicas, nginx.

Rules:
- `up` starts what is missing and stops what is too much; a command that fails stops whatever it started itself.
- A replica that is started again gets its old port, so nginx knows it.
- Without Java or ZooKeeper the embedded one is used, and what that means is said.
- Without nginx the replicas share the port, and the kernel spreads connections over them: then /leader/... is answered
  by whoever gets it, not by the leader alone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from . import servers
from .asking import IS_LEADER, Poll, free_port, get, poll, port_is_free, status, wait_until
from .processes import Keeper, Process, State
from .settings import HOST, ClusterError, Settings, say

READY = 60.0
"""Seconds that ZooKeeper may take to serve, and the replicas to elect: more than a crashed leader's session lasts."""
GRACE = 15.0
"""Seconds from SIGTERM to SIGKILL; longer than the --stop-timeout of a replica."""


class LocalFleet:
    """The cluster of one state folder.

    Args:
        settings: what was asked for.
        keeper: what there is.
    """

    mode = "local"

    def __init__(self, settings: Settings, keeper: Keeper) -> None:
        self._settings, self._keeper = settings, keeper

    @property
    def port(self) -> int:
        """Where the cluster is reached."""
        return self._keeper.state.port or self._settings.port

    @property
    def tick(self) -> float:
        """The seconds of ZooKeeper's tick: ours is known, another one's may well be 2, ZooKeeper's own example."""
        return servers.TICK if "zookeeper" in self._keeper.state.ports else 2.0

    @property
    def routed(self) -> bool:
        """Whether /leader/... reaches the leader, whichever it is."""
        return not self._keeper.state.shared

    @property
    def spares_guardian(self) -> bool:
        """Whether `kill` leaves a replica's guardian alive."""
        return True

    # -- up and down

    def up(self, count: int) -> str:
        """Have this many replicas run, and one of them lead; returns what it is that runs.

        Raises:
            ClusterError: it cannot be done; what was started for it has been stopped.
        """
        before = self._alive()
        try:
            self._begin(bool(before))
            self._start_zookeeper()
            names = [f"replica-{number}" for number in range(1, count + 1)]
            for name in names:
                if self._keeper.find(name) is None:
                    self._start_replica(name)
            self._start_nginx(names)
            self._keeper.stop([one for one in self._replicas() if one.name not in names], GRACE)
            self._await_leader(names)
        except BaseException:
            self._stop([one for one in self._alive() if one not in before])
            if not before:
                self._keeper.forget()
            raise
        entry = "which share the port (no nginx here)" if self._keeper.state.shared else "behind nginx"
        store = ", ZooKeeper embedded: no replication, nothing on disk" if self._keeper.state.embedded else ""
        return f"{count} replicas {entry}, as processes of this machine{store}"

    def down(self, forget: bool) -> str:
        """Stop what was started."""
        running, embedded = self._alive(), self._keeper.state.embedded
        killed = self._stop(running)
        self._keeper.forget()
        if not running:
            return "Nothing was up."
        late = f" ({', '.join(one.name for one in killed)} had to be killed)" if killed else ""
        what = "Logs are" if embedded else "Logs and ZooKeeper's data are"
        folder = self._keeper.folder
        shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
        kept = f"\n{what} kept in {shown}; `make clean` deletes them."
        return f"Stopped {', '.join(one.name for one in running)}{late}.{'' if forget else kept}"

    def _begin(self, running: bool) -> None:
        settings, state = self._settings, self._keeper.state
        if running and settings.port_given and settings.port != state.port:
            raise ClusterError(f"the cluster is up at port {state.port}; `make down` first, or leave PORT out")
        had = "embedded" if state.embedded else state.zookeeper
        if running and settings.zookeeper and settings.zookeeper not in (had, state.zookeeper):
            raise ClusterError(f"the cluster is up with ZooKeeper {state.zookeeper}; `make down` first")
        if not running:
            shared = servers.find_nginx() is None
            given = settings.zookeeper
            embedded = "" if given not in ("", "embedded") else servers.why_embedded(given) or ""
            self._keeper.state = State("local", settings.port, "" if embedded else given, shared, embedded)
            self._keeper.empty_logs()
        state = self._keeper.state
        entered = bool(self._replicas()) if state.shared else self._keeper.find("nginx") is not None
        if not entered and not port_is_free(state.port):
            raise ClusterError(
                f"port {state.port} is taken by another program; stop that one, or choose another: make up PORT=5002"
            )

    def _start_zookeeper(self) -> None:
        state, keeper = self._keeper.state, self._keeper
        if "zookeeper" not in state.ports:
            if state.zookeeper:
                servers.check_reachable(state.zookeeper)
                return
            state.ports["zookeeper"] = free_port(2180, {state.port})
            state.zookeeper = f"{HOST}:{state.ports['zookeeper']}"
        port = state.ports["zookeeper"]
        if keeper.find("zookeeper") is None:
            if state.embedded:
                command = servers.embedded_command(port)
                say(servers.EMBEDDED.format(why=state.embedded, remedy=servers.REMEDY))
            else:
                command = servers.zookeeper_command(keeper.folder / "zookeeper", port)
            say(f"starting {'the embedded ' if state.embedded else ''}ZooKeeper at {state.zookeeper} …")
            keeper.start("zookeeper", command, port, os.environ)
        if not wait_until(lambda: servers.serves(port) or keeper.find("zookeeper") is None, READY):
            raise ClusterError(f"ZooKeeper does not serve after {READY:g} s; its log {self._end_of('zookeeper')}")
        self._check_alive(["zookeeper"])

    def _start_replica(self, name: str) -> None:
        state = self._keeper.state
        if name not in state.ports:
            state.ports[name] = free_port(state.port, set(state.ports.values()))
        port = state.ports[name]
        shared = state.port if state.shared else None
        command = servers.replica_command(name, port, state.zookeeper, shared)
        self._keeper.start(name, command, port, servers.replica_environment())

    def _start_nginx(self, names: Sequence[str]) -> None:
        state, folder = self._keeper.state, self._keeper.folder / "nginx"
        if state.shared:
            return
        servers.write_nginx_conf(folder, state.port, [state.ports[name] for name in names])
        running = self._keeper.find("nginx")
        if running is not None:
            running.signal(signal.SIGHUP)  # reads its configuration again
            return
        nginx = servers.find_nginx()
        if nginx is None:
            raise ClusterError("the cluster was started with nginx, which is gone now; `make down` first")
        self._keeper.start("nginx", servers.nginx_command(nginx, folder), state.port, os.environ)

    def _await_leader(self, names: Sequence[str]) -> None:
        parts = [*names, *(["zookeeper"] if "zookeeper" in self._keeper.state.ports else [])]
        parts += [] if self._keeper.state.shared else ["nginx"]

        def settled() -> bool:
            self._check_alive(parts)
            polls = self._polls()
            entered = get(self.port, IS_LEADER)
            elected = len(polls) == len(names) and sum(one.leads for one in polls) == 1
            return elected and entered is not None and entered[0] == 200

        if not wait_until(settled, READY):
            raise ClusterError(
                f"no leader after {READY:g} s: {self._told()}; the log of {names[0]} {self._end_of(names[0])}"
            )

    def _stop(self, processes: Sequence[Process]) -> list[Process]:
        """End these; ZooKeeper last, because replicas tell it that they go."""
        servers_last = [[one for one in processes if (one.name == "zookeeper") is last] for last in (False, True)]
        return [late for group in servers_last if group for late in self._keeper.stop(group, GRACE)]

    # -- who is there

    def leader(self) -> str | None:
        """Who says that it leads, None if nobody does."""
        # A short limit: one that hangs must not hide how soon another one leads.
        return next((one.host for one in self._polls(0.1) if one.leads), None)

    def status(self, name: str) -> dict[str, object] | None:
        """The `/status` of that replica."""
        return status(self._keeper.state.ports[name])

    def others(self, name: str) -> bool:
        """Whether there are replicas besides that one."""
        return any(one.name != name for one in self._replicas())

    def names(self) -> list[str]:
        """The replicas that run."""
        return [one.name for one in self._replicas()]

    def shown(self, name: str) -> str:
        """What people call that replica."""
        return name

    def check_up(self) -> None:
        """See that there is something to talk to.

        Raises:
            ClusterError: there is not.
        """
        if not self._replicas():
            raise ClusterError("nothing is up; `make up` starts it")

    def _alive(self) -> list[Process]:
        return [one for one in self._keeper.state.processes if one.alive]

    def _replicas(self) -> list[Process]:
        return [one for one in self._alive() if one.name.startswith("replica-")]

    def _polls(self, limit: float = 2.0) -> list[Poll]:
        return [one for one in (poll(replica.port, limit=limit) for replica in self._replicas()) if one is not None]

    # -- one replica

    def restart(self, name: str) -> None:
        """Tell a replica to stop; `restarted` has to follow."""
        self._process(name).signal(signal.SIGTERM)

    def restarted(self, name: str) -> None:
        """Wait for its end and start it again."""
        process = self._process(name)
        if self._keeper.stop([process], GRACE, told=True):
            say(f"{name} had to be killed: it did not stop within {GRACE:g} s")
        self._start_replica(name)
        if not wait_until(lambda: poll(process.port) is not None or self._keeper.find(name) is None, READY):
            raise ClusterError(f"{name} does not answer; its log {self._end_of(name)}")
        self._check_alive([name])

    def kill(self, name: str) -> None:
        """End a replica as a crash would."""
        self._process(name).signal(signal.SIGKILL)

    def _process(self, name: str) -> Process:
        found = next((one for one in self._keeper.state.processes if one.name == name), None)
        if found is None:
            raise ClusterError(f"there is no {name} here; something else answers at its port")
        return found

    # -- what is told

    def ps(self) -> str:
        """A table of what runs."""
        polls = {one.host: one for one in self._polls()}
        rows = []
        for one in self._keeper.state.processes:
            answer = polls.get(one.name)
            role = ("leads" if answer.leads else "follows") if answer else "runs"
            state = role if one.alive else "down"
            note = "  embedded, in memory" if one.name == "zookeeper" and self._keeper.state.embedded else ""
            rows.append(f"{one.name:<12} {state:<8} pid {one.pid:<8} {HOST}:{one.port}{note}")
        if "zookeeper" not in self._keeper.state.ports and rows:
            rows.append(f"{'zookeeper':<12} yours    {'':<12} {self._keeper.state.zookeeper}")
        return "\n".join(rows)

    def logs(self, names: Sequence[str], follow: bool) -> None:
        """Show the ends of the logs; with `follow` go on until interrupted."""
        known = sorted(path.stem for path in self._keeper.log("x").parent.glob("*.log"))
        unknown = [name for name in names if name not in known]
        if unknown or not known:
            raise ClusterError(f"there is no log of {', '.join(unknown) or 'anything'}; there are: {', '.join(known)}")
        if follow:
            os.execvp("tail", ["tail", "-n", "10", "-F", *(str(self._keeper.log(name)) for name in names or known)])
        for name in names or known:
            say(f"==> {self._keeper.log(name)} <==\n{self._keeper.tail(name, 20)}\n")

    def _check_alive(self, names: Sequence[str]) -> None:
        for name in names:
            if self._keeper.find(name) is None:
                raise ClusterError(f"{name} has ended; its log {self._end_of(name)}")

    def _end_of(self, name: str) -> str:
        return f"({self._keeper.log(name)}) ends:\n{self._keeper.tail(name, 12)}"

    def _told(self) -> str:
        polls = self._polls()
        leaders = [one.host for one in polls if one.leads]
        return f"{len(polls)} replicas answer, {', '.join(leaders) or 'none'} of them True"
