"""The assignment: which member is to hold which partition. Pure.

It is the data of the znode below which the members' znodes are: the owner of each partition, by the name of its znode.
The first member (the one that joined first, of those that live) keeps it: on a change it writes `rebalance` of what
stood there, by a transaction that checks its own znode and the version that it read.

Rules of `rebalance`, for `count` partitions and N members:
1. It is a function of its arguments alone. Shares differ by at most one.
2. It moves as few partitions as any balanced assignment of these members can. (Balance gives each member a quota, and a
   member that had `load` keeps min(load, quota) at most. It keeps just that, and the larger quotas go to the larger
   loads, where they keep the most.)
3. So, from a balanced assignment: one member more moves floor(count / N) partitions, N with it, all of them to it; one
   less moves those it had and no others; no change of members moves none. Of several changes at once the bounds add up,
   since making them one by one is balanced too, and rule 2 is not worse than that.

Why it is written down, and not computed by everyone from the list of members: no function of the living members alone
keeps these bounds. If a departure moves only what the departed had, each partition ranks all members that may ever
come, and goes to the highest of those that live. Of enough members there are many that every partition ranks in the
order of their arrival or in the opposite one (Erdős and Szekeres), and among those only the first and the last get any.

It does not promise that anybody holds what is assigned: that is each partition's own election.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from .. import stored
from ..errors import AssignmentError
from ..stored import Garbage

NOBODY = ""
PARTITIONS = 1024
"""Partitions at most: one session confirms all that it leads."""
LIMIT = 512 * 1024
"""Bytes of the largest assignment that is read. The largest that is written has less: each member has one partition."""


def rebalance(owners: Sequence[str], members: Sequence[str]) -> tuple[str, ...]:
    """The owners from now on.

    Args:
        owners: of each partition, so far; one that is not among the members has gone.
        members: in the order of arrival.
    """
    if not members:
        return (NOBODY,) * len(owners)
    loads = Counter(owners)
    least, larger = divmod(len(owners), len(members))
    by_load = sorted(members, key=lambda member: -loads[member])
    room = {member: least + (place < larger) for place, member in enumerate(by_load)}
    kept: list[str] = []
    for owner in owners:
        stays = room.get(owner, 0) > 0
        if stays:
            room[owner] -= 1
        kept.append(owner if stays else NOBODY)
    takers = iter([member for member in members for _ in range(room[member])])
    return tuple(owner or next(takers) for owner in kept)


def moves(before: Sequence[str], after: Sequence[str]) -> int:
    """How many partitions have another owner than before."""
    return sum(old != new for old, new in zip(before, after, strict=True))


def encode(owners: Sequence[str]) -> bytes:
    """The assignment as the znode's data."""
    members = sorted(set(owners))
    place = {member: number for number, member in enumerate(members)}
    return json.dumps(
        {"members": members, "owners": [place[owner] for owner in owners]}, separators=(",", ":")
    ).encode()


def decode(data: bytes, path: str) -> tuple[str, ...] | None:
    """The owners that the data of the znode name, None if none were written yet.

    Raises:
        AssignmentError: this library did not write it.
    """
    if not data:
        return None
    try:
        said = stored.Fields(stored.parse(data, LIMIT))
        members = [stored.as_name(member, "members", NOBODY) for member in said.rows("members")]
        places = said.rows("owners")
        if not 0 < len(places) <= PARTITIONS:
            raise Garbage(f"it is about {len(places)} partitions, not 1 to {PARTITIONS}")
        if any(type(place) is not int or not 0 <= place < len(members) for place in places):
            raise Garbage("its owners are no members")
    except Garbage as error:
        raise AssignmentError(path, str(error)) from error
    return tuple(members[place] for place in places)
