"""What `leader-async doctor` makes of what it has found. Pure: numbers in, findings out.

Rule: a finding that is not `ok` says what to do. What could not be found out is a warning, never an `ok`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..election.names import is_own
from ..election.rules.explain import waited_out
from ..election.rules.record import LeadState, Record
from ..election.status import Candidate
from ..zookeeper.messages import Access, Permission
from ..zookeeper.wire import FRAME_LIMIT, REQUEST_LIMIT

OK, WARN, FAIL = "ok", "warn", "fail"
SHOWN = 60
"""Characters of a name that is shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line.

    Attributes:
        level: `ok`, `warn` or `fail`.
        about: what was checked.
        text: what was found, and what to do about it.
    """

    level: str
    about: str
    text: str


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def session(asked: float, granted: float, lease: float) -> list[Finding]:
    """The session timeout that the server granted, and the lease."""
    if granted != asked:
        text = f"{granted:g} s granted, {asked:g} s asked: set minSessionTimeout and maxSessionTimeout (2 and 20 ticks)"
        found = [Finding(WARN, "session timeout", text + ", or ask for what is granted")]
    else:
        found = [Finding(OK, "session timeout", f"{granted:g} s, as asked")]
    if lease > granted:
        text = f"{lease:g} s is longer than the session timeout of {granted:g} s: safe, but slow after a crash"
        return [*found, Finding(WARN, "lease", text + f"; give {granted / 2:g} s")]
    return [*found, Finding(OK, "lease", f"{lease:g} s, within the session timeout")]


def encryption(version: str | None) -> Finding:
    """Whether the connection is encrypted; `version` is that of TLS, None for none."""
    if version is None:
        text = "none: a machine on the way can read and change everything, passwords too; use the servers' "
        return Finding(WARN, "encryption", text + "secureClientPort and --zookeeper-tls")
    return Finding(OK, "encryption", f"{version}, and the server's certificate was verified")


def access(about: str, path: str, entries: Sequence[Access], *, secured: bool, above: bool = False) -> Finding:
    """What a znode's access list allows every client to change there.

    Args:
        about: what was checked.
        path, entries: the znode, and its access list.
        secured: whether we have credentials.
        above: it is not the election's znode, but the one above it, which others may have a right to.
    """
    harmful = {
        "write": Permission.WRITE,
        "create below": Permission.CREATE,
        "delete below": Permission.DELETE,
        "give access to": Permission.ADMIN,
    }
    public = Permission(0)
    for entry in entries:
        if entry.scheme == "world":
            public |= Permission(entry.permissions)
    allowed = [word for word, permission in harmful.items() if public & permission]
    if not allowed:
        return Finding(OK, about, f"{path} can be changed only by those whom its list names")
    harm = "make your elections before you do" if above else "take the lead, or keep everybody from it"
    text = f"everybody may {', '.join(allowed)} {path}: every client that reaches ZooKeeper can {harm}"
    if not secured:
        return Finding(WARN, about, f"{text}; give all replicas --zookeeper-auth-file")
    remedy = f"it was made without credentials; as the user of yours, in zkCli.sh: setAcl {path} auth::cdrwa"
    return Finding(WARN if above else FAIL, about, f"{text}; {remedy}")


def server(name: str, answer: str | None, granted: float) -> list[Finding]:
    """One server's tick and syncLimit, by its answer to the four-letter word `conf`, None if it could not be asked."""
    about = f"server {name}"
    if answer is None:
        text = "does not answer: start it, mend the way to it, or take it out of --zookeeper"
        return [Finding(WARN, about, text)]
    settings = dict(line.partition("=")[::2] for line in answer.splitlines() if "=" in line)
    if not settings:
        # ZooKeeper answers so, other servers and ports for TLS answer nothing.
        why = "it does not allow conf" if "whitelist" in answer else "it answers nothing to conf"
        text = f"tickTime and syncLimit were not checked, {why}: add conf to its 4lw.commands.whitelist, or look at "
        return [Finding(WARN, about, text + "its zoo.cfg")]
    try:
        tick = int(settings["tickTime"]) / 1000
        limit = int(settings["syncLimit"]) * tick if "syncLimit" in settings else 0.0
    except (KeyError, ValueError):
        return [Finding(WARN, about, "its conf is not understood: look at tickTime and syncLimit yourself")]
    if 2 * tick > granted / 2:
        text = f"a tick of {tick:g} s adds up to {2 * tick:g} s to the {granted:g} s after which a lost machine is "
        return [Finding(WARN, about, text + "noticed; set a shorter tickTime")]
    if limit > 2 * granted:
        text = f"syncLimit lets it serve for {limit:g} s after it was cut off: that is safe here, but who waits in the "
        return [Finding(WARN, about, text + "queue there is notified late; set a smaller syncLimit")]
    return [Finding(OK, about, f"a tick of {tick:g} s" + (f", cut off for {limit:g} s at most" if limit else ""))]


def queue(candidates: Sequence[Candidate], record: Record) -> list[Finding]:
    """The queue: who leads, and what stands in it that should not."""
    names = {one.znode for one in candidates}
    found = []
    if record.state is LeadState.HELD and record.holder not in names:
        level, remedy = (WARN, "") if candidates else (FAIL, "; start a replica")
        found.append(Finding(level, "record", waited_out(record) + remedy))
    for one in candidates:
        if one.ghost:
            text = f"{one.znode} belongs to no session and will never go; who stands behind it never leads: "
            found.append(Finding(FAIL, "queue", f"{text}leader-async evict {one.znode}"))
    for identity, count in sorted(Counter(one.identity for one in candidates).items()):
        if count > 1:
            text = f"{identity} stands {count} times in the queue: a ghost of a process that died, which goes with its "
            found.append(Finding(WARN, "queue", text + "session, or two replicas of one --identity: give each its own"))
    return found or [Finding(OK, "queue", f"everybody in it ({len(candidates)}) has a session and a name of its own")]


def listing(parent: str, count: int, names: Sequence[str] | None) -> list[Finding]:
    """What stands below an election's znode, as far as its length is concerned: who joins reads the whole list.

    The names are None if the list is longer than can be read.
    """
    remedy = "delete what no replica made, and let nobody else create there: give all replicas --zookeeper-auth-file"
    if names is None:
        text = f"{parent} has {count} znodes below it, and their list is longer than the {FRAME_LIMIT >> 20} MiB that "
        return [Finding(FAIL, "listing", f"{text}are read: nobody can join, or follow a leader that stops; {remedy}")]
    found = []
    strange = sorted(name for name in {*names} if not is_own(name))
    if strange:
        text = f"{len(strange)} znodes below {parent} are nobody's place in the queue, as {strange[0][:SHOWN]!r}: "
        found.append(Finding(WARN, "listing", text + remedy))
    size = sum(len(name.encode()) + 4 for name in names)
    if size > REQUEST_LIMIT:
        text = f"the list of the {count} znodes below {parent} has {size / 2**20:.1f} MiB: every join reads it, other "
        text += "clients than this library read 1 MiB; run fewer candidates, or "
        found.append(Finding(WARN, "listing", text + remedy))
    return found


def times(about: str, seconds: Sequence[float], limit: float, remedy: str) -> Finding:
    """Median and p99 of what was measured; p99 should stay below the limit, and is a warning beyond a half of it."""
    median, p99 = quantile(seconds, 0.5), quantile(seconds, 0.99)
    text = f"{median * 1000:.1f} ms median, {p99 * 1000:.1f} ms p99 of {len(seconds)}"
    if p99 <= limit / 2:
        return Finding(OK, about, text)
    return Finding(WARN if p99 <= limit else FAIL, about, f"{text}, of {limit * 1000:.0f} ms: {remedy}")
