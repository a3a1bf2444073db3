"""One campaign: a system on a field, a nemesis, and the verdict."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from leader_async import NoNode, connect
from leader_async.zookeeper import messages as m

from .checker import Trouble, Verdict, judge
from .field import ELECTION, TICK, TIMEOUT, Field
from .history import History, read
from .nemesis import Nemesis
from .writers import write


@dataclass(slots=True)
class Campaign:
    """What came of it.

    Attributes:
        orphans: znodes that were there after all replicas had left and their sessions had to be over.
    """

    system: str
    minutes: float
    seed: int
    history: History
    troubles: list[Trouble]
    verdict: Verdict
    orphans: list[str]


async def campaign(
    folder: Path,
    system: str,
    minutes: float,
    seed: int,
    tell: Callable[[str], None],
    kinds: list[str] | None = None,
) -> Campaign:
    """Run it.

    Args:
        folder: a new one, for everything.
        system: whose replicas.
        minutes: how long; the fault under way at the end is brought to its end.
        seed: what the nemesis draws by.
        tell: gets a line for each fault.
        kinds: faults to inflict in this order, instead of drawing.
    """
    field, history = Field(folder, system), History()
    nemesis = Nemesis(field, seed)
    began = time.monotonic()
    try:
        await field.open()
        async with observed(field, history):
            await afflict(nemesis, minutes, tell, kinds)
        await field.retire()
        orphans = await left_behind(field)
    finally:
        field.close()
    for path in sorted((folder / "observed").iterdir()):
        with path.open() as lines:
            read(path.name, lines, history)
    verdict = judge(history, nemesis.troubles)
    return Campaign(system, (time.monotonic() - began) / 60, seed, history, nemesis.troubles, verdict, orphans)


@asynccontextmanager
async def observed(field: Field, history: History) -> AsyncIterator[None]:
    """Have writers write beside the replicas."""
    assert field.ensemble is not None
    writing = asyncio.create_task(write([server.address for server in field.ensemble.servers], history.answered))
    try:
        yield
    finally:
        writing.cancel()
        await asyncio.wait([writing])
    assert writing.cancelled(), writing


def keep_logs(folder: Path, into: Path) -> None:
    """Copy what servers and replicas have logged."""
    logs = [*folder.glob("*.log"), *(folder / "zk").glob("*/log")]
    into.mkdir(parents=True, exist_ok=True)
    for log in logs:
        name = log.name if log.suffix else f"zookeeper-{log.parent.name}.log"
        shutil.copyfile(log, into / name)


async def afflict(nemesis: Nemesis, minutes: float, tell: Callable[[str], None], kinds: list[str] | None) -> None:
    """Inflict faults for so long; see `campaign`."""
    begin = time.monotonic()
    while time.monotonic() - begin < minutes * 60 and (kinds is None or len(nemesis.troubles) < len(kinds)):
        kind = kinds[len(nemesis.troubles)] if kinds is not None else nemesis.draw()
        trouble = await nemesis.inflict(kind)
        seconds, leads = trouble.end - trouble.begin, nemesis.field.leader() or "nobody"
        tell(f"{time.monotonic() - begin:6.1f} s  {kind}: {seconds:.1f} s, now {leads} leads")


async def left_behind(field: Field) -> list[str]:
    """The candidates' znodes that outlive their sessions."""
    assert field.ensemble is not None
    path, end = f"/ELECTION/{ELECTION}", time.monotonic() + TIMEOUT + 3 * TICK
    async with connect(field.ensemble.address, timeout=TIMEOUT) as zk:
        await zk.wait_connected()
        while True:
            try:
                reply = await zk.client.request(m.GetChildren(path))
            except NoNode:
                return []
            assert isinstance(reply, m.Children)
            # Of all systems: what ends with a session ends with digits.
            left = sorted(name for name in reply.names if name[-1:].isdigit())
            if not left or time.monotonic() > end:
                return left
