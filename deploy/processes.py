"""Processes that outlive the command that started them, and the file that remembers them.

Rules:
- A process is known by its id and the time it started: an id alone may be somebody else's by now.
- It is written down as soon as it runs, so that whatever ends this command leaves nothing that `down` does not know.
- It is ended by SIGTERM, and by SIGKILL when that takes too long.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .asking import wait_until
from .settings import ClusterError

TAIL = 4000
"""Bytes of the end of a log that are read."""


@dataclass(frozen=True, slots=True)
class Process:
    """One that this launcher started.

    Attributes:
        name: replica-1, zookeeper, nginx.
        pid: its id.
        started: when that id began to run, as the system tells it.
        port: where it listens.
    """

    name: str
    pid: int
    started: str
    port: int

    @property
    def alive(self) -> bool:
        """Whether it still runs, and is not another one with its id."""
        return start_of(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def gone(self) -> bool:
        """Whether it has ended; takes its exit code if it is our own child."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return not self.alive


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals that end this command wait: what runs and is not written down yet would be left behind."""
    told: list[int] = []
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    before = {number: signal.signal(number, lambda number, frame: told.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for told_number in told:
            signal.raise_signal(told_number)


def start_of(pid: int) -> str | None:
    """When a process began, as text that no other one with this id ever has; None if it does not run."""
    try:
        # The name, in brackets, may hold anything; after it come the state (field 3) and more (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return None if fields[0] in "ZX" else f"{boot} {fields[19]}"
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, began = shown.stdout.strip().partition(" ")
    return None if not began or state.startswith("Z") else began.strip()


@dataclass(slots=True)
class State:
    """What is running, as the file says.

    Attributes:
        mode: "local" or "docker".
        port: where the cluster is reached.
        zookeeper: the connect string of its ZooKeeper.
        shared: whether the replicas share that port, because there is no nginx.
        embedded: why that ZooKeeper is the embedded one, "" if it is a real one.
        ports: the port of each replica there ever was; one that is started again gets its old one.
        processes: what was started, in that order.
    """

    mode: str = ""
    port: int = 0
    zookeeper: str = ""
    shared: bool = False
    embedded: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)


class Keeper:
    """The folder of a cluster: its state, logs and data.

    Args:
        folder: where; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "state.json"
        self.state = self._read()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one that starts or stops something here.

        Raises:
            ClusterError: another one is at it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ClusterError("another command starts or stops this cluster now; wait for its end") from error
            self.state = self._read()
            yield

    def write(self) -> None:
        """Save the state; never half of it."""
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self.state), indent=2) + "\n")
        draft.replace(self._file)

    def forget(self) -> None:
        """Nothing runs any more."""
        self._file.unlink(missing_ok=True)
        self.state = State()

    def erase(self) -> None:
        """Delete data and logs; whatever else is in the folder is not ours."""
        for folder in ("log", "nginx", "zookeeper"):
            shutil.rmtree(self.folder / folder, ignore_errors=True)
        for file in (self._file, self.folder / "lock"):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def find(self, name: str) -> Process | None:
        """The living process of that name."""
        return next((one for one in self.state.processes if one.name == name and one.alive), None)

    def log(self, name: str) -> Path:
        """Where that process writes."""
        return self.folder / "log" / f"{name}.log"

    def empty_logs(self) -> None:
        """Drop what was written by a cluster that runs no more."""
        shutil.rmtree(self.folder / "log", ignore_errors=True)

    def tail(self, name: str, lines: int) -> str:
        """The end of its log."""
        try:
            with self.log(name).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL * max(1, lines // 20)))
                return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def start(self, name: str, command: Sequence[str], port: int, environment: Mapping[str, str]) -> Process:
        """Start a process that stays when this one ends, and write it down."""
        self.log(name).parent.mkdir(parents=True, exist_ok=True)
        with _uninterrupted(), self.log(name).open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=dict(environment),
                # Its own session: Ctrl-C at the terminal is not meant for it.
                start_new_session=True,
            )
            process = Process(name, child.pid, start_of(child.pid) or "", port)
            # It is ours no longer: whoever calls `down` ends it.
            child.returncode = 0
            self.state.processes = [one for one in self.state.processes if one.name != name] + [process]
            self.write()
        return process

    def stop(self, processes: Sequence[Process], limit: float, *, told: bool = False) -> list[Process]:
        """End these at the same time, and strike them off.

        Args:
            processes: which.
            limit: seconds that they may take.
            told: they know already; a second SIGTERM would end them there and then.

        Returns:
            Those that had to be killed.
        """
        for process in processes if not told else ():
            process.signal(signal.SIGTERM)
        wait_until(lambda: all(process.gone() for process in processes), limit, 0.02)
        late = [process for process in processes if not process.gone()]
        for process in late:
            process.signal(signal.SIGKILL)
        wait_until(lambda: all(process.gone() for process in late), 5.0, 0.02)
        self.state.processes = [one for one in self.state.processes if one not in processes]
        self.write()
        return late

    def _read(self) -> State:
        try:
            known = json.loads(self._file.read_text())
            processes = [Process(**one) for one in known.pop("processes")]
            return State(**known, processes=processes)
        except FileNotFoundError:
            return State()
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ClusterError(
                f"{self._file} cannot be read ({error}); end what runs by hand, then delete it"
            ) from error
