"""Ends the session of a process that has died, or may have: resume it, leave what it holds, close it.

Rules:
- It leaves nothing for a process that may live: that one's lease lasts, and a reader of `left` would lead at once.
- It leaves a record only if that says `held` by a znode that this very session owns, and only at the version that it
  has read. A refusal means that the record belongs to another session: nothing more is done to it.
- Reads follow a `sync`, so that they miss no claim that was answered.
- The session is closed in any case: that deletes its other znodes.
- After a lost connection everything is read again on the next one, until the session must have expired.

It does not know whether the process has died: its caller must.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from ..election.rules import history
from ..election.rules import record as r
from ..election.rules.candidate_data import CandidateData
from ..election.rules.ends import PROCESS_DIED
from ..errors import AuthFailed, ConnectionLost, NotConnected, RecordError, ServerError, SessionClosed
from ..zookeeper import hosts
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from ..zookeeper.session import Credentials
from .protocol import Begun

log = logging.getLogger("leader_async.guardian")

BATCH = 100
"""Elections that are looked at at the same time."""

PATIENCE = 0.5
"""Seconds that a server has to take the session over at the first round of dialling: the lead waits for that."""


def lifetime(timeout: float) -> float:
    """Seconds after which a session that nobody touches must have expired.

    ZooKeeper ends it on the tick behind its timeout, and a timeout has at least two ticks. A second is for clocks.
    """
    return 1.5 * timeout + 1.0


async def end_session(session: Begun, parents: Sequence[str], *, dead: bool = True) -> bool:
    """End this session; its process will not.

    Args:
        session: as its process had sent it.
        parents: paths of the elections whose lead it may hold.
        dead: whether the kernel says that the process has ended. If not, only the session is closed.

    Returns:
        True once it is closed, False if it had expired, or must have in the meantime.
    """
    own = session.credentials
    client = Client(hosts.parse(session.servers), own.timeout, resume=own, auth=session.auth, tls=session.tls)
    client.hurry(PATIENCE)
    client.start()
    what = "a process has died" if dead else "a process has died or closed its descriptors, nothing tells which"
    try:
        while True:
            async with asyncio.timeout(lifetime(own.timeout)):
                await client.wait_connected()
            try:
                left = await _leave_all(client, parents if dead else ())
                # Not `Client.close`, which does not try again.
                await client.request(m.Close())
            except (NotConnected, ConnectionLost):
                continue
            log.info(
                "%s: its session 0x%x is closed; terms that ended with it: %d",
                what, own.session_id, left, extra=_fields("session_ended", own, terms=left),
            )  # fmt: skip
            return True
    except TimeoutError:
        text = "%s: its session 0x%x must have expired by now, and no server could be told before"
        log.warning(text, what, own.session_id, extra=_fields("session_not_ended", own))
    except AuthFailed as error:
        text = "%s: its session 0x%x is left to its timeout: %s"
        log.warning(text, what, own.session_id, error, extra=_fields("session_not_ended", own))
    except SessionClosed:
        text = "%s: its session 0x%x had expired already"
        log.info(text, what, own.session_id, extra=_fields("session_had_expired", own))
    finally:
        await client.close()
    return False


def hush() -> None:
    """Log nothing below a warning of this process's connections: they would read as if the dead one lived."""
    of_connections = logging.getLogger("leader_async.zookeeper")
    if of_connections.getEffectiveLevel() > logging.DEBUG:
        of_connections.setLevel(logging.WARNING)


def _fields(event: str, own: Credentials, **more: object) -> dict[str, object]:
    return {"event": event, "session": f"0x{own.session_id:x}", **more}


async def _leave_all(client: Client, parents: Sequence[str]) -> int:
    """Leave what the session holds, and return how many terms that were."""
    left = 0
    for begin in range(0, len(parents), BATCH):
        batch = parents[begin : begin + BATCH]
        answers = await asyncio.gather(
            _ask(client, m.Sync(batch[0])), *(_leave(client, parent) for parent in batch), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            left += answer is True
    return left


async def _leave(client: Client, parent: str) -> bool:
    """Leave this election if the session leads it, and return whether it did."""
    data = await _ask(client, m.GetData(parent))
    if not isinstance(data, m.Data):
        return False
    try:
        record = r.decode(data.data, data.stat.version, parent)
    except RecordError as error:
        log.warning("%s", error, extra={"event": "record_unreadable"})
        return False
    if record.state is not r.LeadState.HELD:
        return False
    found = await _ask(client, m.GetData(f"{parent}/{record.holder}"))
    if not isinstance(found, m.Data) or found.stat.ephemeral_owner != client.session_id:
        return False
    said, stat = CandidateData.decode(found.data), data.stat
    told = history.in_record(record, r.token_of(record, stat.mzxid), stat.mtime, said.identity, said.address)
    left = r.signed(record, record.identity or said.identity, record.address or said.address)
    left = replace(left, state=r.LeadState.LEFT, end=PROCESS_DIED, past=history.rows(told))
    answer = await _ask(client, r.leave(parent, left, data.stat.version))
    return isinstance(answer, m.Transacted) and answer.ok


async def _ask(client: Client, request: m.Request) -> m.Reply | None:
    """The answer; None if the server refuses, so that the rest is done all the same."""
    try:
        return await client.request(request)
    except ServerError as error:
        log.debug("refused: %s", error)
        return None
