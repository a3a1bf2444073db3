"""Candidates of one system in processes of their own, which are told what to do and say when it happened.

All instants are readings of the machine's monotonic clock, taken by the process that they are about.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from . import systems

PATIENCE = 30.0
"""Seconds that anything may take before its system is given up."""


class Failure(Exception):
    """A system did not do what it was told to; the message says what."""


@dataclass(frozen=True, slots=True)
class Said:
    """Something that a candidate said.

    Attributes:
        what: see `candidates`.
        worker: which process.
        number: which candidate of that process, -1 for none.
        at: when it happened.
    """

    what: str
    worker: int
    number: int
    at: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used.

    Attributes:
        cpu: seconds.
        memory: resident MiB.
        threads: how many.
    """

    cpu: float
    memory: float
    threads: int


class Fleet:
    """The processes of one system.

    Args:
        system: whose candidates.
        servers: the connect string.
        folder: for logs and compiled classes.
        processes: how many.
        candidates: how many in each.
        timeout: the session timeout in seconds.
        words: see `candidates`.
    """

    def __init__(
        self,
        system: str,
        servers: str,
        folder: Path,
        *,
        processes: int = 1,
        candidates: int = 1,
        timeout: float = 6.0,
        words: tuple[str, ...] = (),
    ) -> None:
        self.system, self.processes, self.candidates = system, processes, candidates
        self.root = f"/bench/{system.replace(' ', '-')}-{os.urandom(4).hex()}"
        self.leader: Said | None = None
        self._folder = folder
        self._log = folder / f"{self.root.rpartition('/')[2]}.log"
        self._arguments = [servers, self.root, str(timeout), str(candidates), *words]
        self.spawned = 0
        self._workers: dict[int, asyncio.subprocess.Process] = {}
        self._readers: dict[int, asyncio.Task[None]] = {}
        self._said: list[Said] = []
        self._news = asyncio.Event()
        self._told_to_end: set[int] = set()
        self._ended: dict[int, int] = {}

    # -- begin and end -------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Compile what has to be compiled."""
        if self.system == "curator":
            await asyncio.to_thread(systems.compile_java, self._folder)

    async def start(self) -> None:
        """Start all processes; returns when all candidates have a session."""
        await self.prepare()
        await asyncio.gather(*(self.spawn() for _ in range(self.processes)))

    async def spawn(self) -> int:
        """Start one process; returns its number when it is ready."""
        number, self.spawned = self.spawned, self.spawned + 1
        servers, *rest = self._arguments
        hosts = servers.split(",")
        first = number % len(hosts)  # each process another one, for those that take the first
        command = systems.command(self.system, self._folder, [",".join(hosts[first:] + hosts[:first]), *rest])
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, cwd=systems.ROOT,
                env={**os.environ, "PYTHONPATH": str(systems.ROOT)},
            )  # fmt: skip
        self._workers[number] = process
        self._readers[number] = asyncio.create_task(self._read(number, process))
        await self.said("ready", worker=number)
        return number

    async def end(self, worker: int) -> None:
        """End a process as a crash would."""
        self._told_to_end.add(worker)
        process = self._workers[worker]
        if process.returncode is None:
            process.kill()
        # Not process.wait(), which waits for the pipe's end: whoever outlives the process (a guardian) may hold it.
        while process.returncode is None:
            await asyncio.sleep(0.005)
        await asyncio.wait([self._readers[worker]], timeout=0.5)
        self._readers[worker].cancel()

    async def kill(self) -> None:
        """End all of them so."""
        for worker in self._workers:
            await self.end(worker)

    # -- what to do ----------------------------------------------------------------------------------------------------

    def order(self, worker: int, what: str, number: int = -1) -> None:
        """Tell a process something."""
        if what == "close":
            self._told_to_end.add(worker)
        stdin = self._workers[worker].stdin
        assert stdin is not None
        stdin.write(f"{what} {number}\n".encode() if number >= 0 else f"{what}\n".encode())

    def join_all(self) -> None:
        """Have all candidates join, a round of one of each process after the other."""
        for number in range(self.candidates):
            for worker in range(self.processes):
                self.order(worker, "join", number)

    async def led(self) -> Said:
        """The next one that says that it leads."""
        self.leader = await self.said("leads")
        return self.leader

    async def handover(self) -> float:
        """Have the leader hand over; returns the seconds from its call to the next one's knowing."""
        before = self.leader
        assert before is not None
        self.forget("leads")
        self.order(before.worker, "resign", before.number)
        after = await self.led()
        if (after.worker, after.number) == (before.worker, before.number):
            raise Failure("the one that resigned led again")
        gave = await self.said("resigned", worker=before.worker)
        return after.at - gave.at

    def signal(self, worker: int, number: signal.Signals) -> None:
        """Send a process a signal."""
        self._told_to_end.add(worker)
        self._workers[worker].send_signal(number)

    # -- what happened -------------------------------------------------------------------------------------------------

    async def said(self, what: str, worker: int | None = None, limit: float = PATIENCE) -> Said:
        """The first thing of this kind that was not taken yet.

        Raises:
            Failure: it was not said in time, or the process has ended.
        """
        try:
            async with asyncio.timeout(limit):
                while True:
                    for index, one in enumerate(self._said):
                        if one.what == what and worker in (None, one.worker):
                            return self._said.pop(index)
                    if self._ended:
                        break
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise Failure(f"nobody said {what!r} within {limit:g} s") from None
        codes = ", ".join(map(str, self._ended.values()))
        raise Failure(f"processes ended by themselves, with {codes}; the log ends: {self._log_end()}")

    def heard(self) -> list[Said]:
        """All that was not taken yet."""
        return list(self._said)

    def forget(self, what: str) -> None:
        """Drop what was said of this kind."""
        self._said = [one for one in self._said if one.what != what]

    def usage(self, worker: int = 0) -> Usage:
        """What a process has used up to now."""
        pid = self._workers[worker].pid
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return Usage(cpu, int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"]))

    async def _read(self, number: int, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            words = line.decode().split()
            if len(words) == 3:
                self._said.append(Said(words[0], number, int(words[1]), float(words[2])))
                self._news.set()
        code = await process.wait()
        if number not in self._told_to_end:
            self._ended[number] = code
            self._news.set()

    def _log_end(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "(empty)"
