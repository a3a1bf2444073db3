"""`leader-async evict`: takes a candidate out of the queue that cannot leave: it has no process."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from . import asking
from .asking import Declined, Target, ask, in_time, show


@asking.command
@click.argument("znode")
@click.option("--force", is_flag=True, help="Evict it although its session lives.")
def evict(target: Target, znode: str, force: bool) -> None:
    """Delete a candidate's ZNODE, if it is a ghost: one that belongs to no session, so it stays until then.

    `doctor` and the live page name ghosts. A candidate whose session lives goes with its process: stop that one. With
    --force it is evicted all the same. Its term then ends at its next confirm, and the next one leads 1.1 leases later,
    also if its work has not ended by then.
    """
    if target.url is not None:
        raise click.UsageError("evict asks ZooKeeper itself; give --zookeeper, not --url")
    show(target, *ask(_evict(target, znode, force=force)))


async def _evict(target: Target, znode: str, *, force: bool) -> tuple[Any, str]:
    from ..election import evict
    from ..errors import UsageError

    async with asking.election_of(target) as (zk, election):
        try:
            found = await in_time(target, evict.plan(zk.client, election.parent, znode))
        except UsageError as error:
            raise Declined(str(error)) from error
        if found.session and not force:
            where = f" at {found.address}" if found.address else ""
            raise Declined(
                f"the session of {znode} lives: stop {found.identity}{where}, and its place goes with its session; "
                "--force evicts it all the same"
            )
        if not await in_time(target, evict.carry_out(zk.client, found)):
            raise Declined(f"{znode} has gone, or was written, in this very moment; nothing was done. Look again")
        return asdict(found), f"{found.identity} ({znode}) stands in the queue of {target.election} no more"
