"""`leader-async status | candidates | watch | resign`: who leads and who is next, now and from now on."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import click

from . import asking
from .asking import Target, ask, fetch, in_time, page, show, token_for
from .exits import Exit, print_error

PARTS = "connected", "leader", "queue", "problem"
"""Of a change, what `watch` prints."""


def _line(one: dict[str, Any]) -> str:
    leads = f"  leads, term {one['term']}, token {one['token']}" if one["is_leader"] else ""
    ghost = f"  a ghost, blocks who stands behind it: leader-async evict {one['znode']}" if one.get("ghost") else ""
    return f"{one['position'] + 1:>3}  {one['identity']}  {one['address'] or '-'}{leads}{ghost}"


async def queue_of(target: Target) -> tuple[list[dict[str, Any]], str, str]:
    """The candidates in the order of the queue, why it is not known which of them leads, and what they wait for."""
    if target.url is not None:
        return await page(target, "/candidates"), (await page(target, "/status")).get("problem", ""), ""
    from ..election.queries import read_queue
    from ..election.rules.explain import waited_out

    async with asking.election_of(target) as (zk, election):
        queue, problem, lost = await in_time(target, read_queue(zk.client, election.parent))
        return [asdict(one) for one in queue], str(problem or ""), waited_out(lost) if lost else ""


@asking.command
def status(target: Target) -> None:
    """Who leads, and how many stand in the queue; of a replica what it knows."""
    if target.url is not None:
        known = ask(page(target, "/status"))
        text, code = in_words(known, time.time())
        show(target, known, text)
        raise SystemExit(code)
    queue, problem, waiting = ask(queue_of(target))
    leader = next((one for one in queue if one["is_leader"]), None)
    who = f"nobody leads {target.election}"
    if leader is not None:
        who = f"{leader['identity']} leads {target.election}, term {leader['term']}, token {leader['token']}"
    data = {"election": target.election, "leader": leader, "candidates": len(queue), "problem": problem}
    data["waiting"] = waiting
    show(target, data, "; ".join(filter(None, [who, f"{len(queue)} in the queue", problem, waiting])))
    if leader is None:
        raise SystemExit(Exit.NO)


def in_words(known: dict[str, Any], now: float) -> tuple[str, Exit]:
    """Who leads by a replica's `/status`, in words, and the exit code; `now` is in seconds since the epoch.

    While ZooKeeper is away only a leader knows who leads, and only until its lease ends; an earlier leader may have
    been replaced.
    """
    who, session = f"{known['identity']} is {known['state']} in {known['election']}", known["session"]
    if known["is_leader"]:
        who = f"{known['identity']} leads {known['election']}"
    if session["connected"]:
        if known["is_leader"]:
            return who, Exit.STOPPED
        why = f": {known['problem']}" if known.get("problem") else ""
        return f"{who}; {known['leader'] or 'nobody'} leads{why}", Exit.STOPPED if known["leader"] else Exit.NO
    away = f"ZooKeeper has been away for {now - session['since']:.0f} s: {session['last_error'] or 'no answer yet'}"
    if known["is_leader"]:
        return f"{who} for {known['lease_left']:.1f} s more; {away}", Exit.STOPPED
    before = f"; before that {known['leader']} led" if known["leader"] else ""
    return f"{who}; nobody can tell who leads; {away}{before}", Exit.AWAY


@asking.command
def candidates(target: Target) -> None:
    """The queue, first first."""
    queue, problem, _ = ask(queue_of(target))
    show(target, queue, *(map(_line, queue) if queue else [f"nobody stands in the queue of {target.election}"]))
    print_error(f"nobody can tell who of them leads: {problem}" if problem else "")


@asking.command
def watch(target: Target) -> None:
    """Print each change of the leader and of the queue, until interrupted; a line each."""
    ask(_watch(target) if target.url is None else _watch_replica(target))


async def _watch(target: Target) -> None:
    async with asking.election_of(target) as (_, election):
        async for change in election.watch():
            _show(target, asdict(change))


async def _watch_replica(target: Target) -> None:
    before: dict[str, Any] = {}
    async for name, data in asking.events(target):
        if name != "queue":
            continue
        what = [part for part in PARTS if part not in before or before[part] != data[part]]
        if what:
            _show(target, {"what": what, **data})
        before = data


def _show(target: Target, change: dict[str, Any]) -> None:
    leader, problem = change["leader"], change["problem"]
    who = f"{leader['identity']} leads, term {leader['term']}" if leader else "nobody leads"
    who += f" ({problem})" if problem else ""
    waiting = ", ".join(one["identity"] for one in change["queue"]) or "-"
    text = f"{who}; queue: {waiting}" if change["connected"] else f"ZooKeeper is away; before that {who}"
    show(target, {part: change[part] for part in ("what", *PARTS)}, text)


@asking.command
@asking.token_file
def resign(target: Target, resign_token_file: str | None) -> None:
    """Have the leader hand over; --url names any replica, or the load balancer in front of them."""
    if target.url is None:
        raise click.UsageError(
            "resign needs --url: only the leader itself can stop its work before it gives the lead away. From outside, "
            "through ZooKeeper, nothing safe can be done"
        )
    show(target, *ask(_resign(target, token_for("resign", resign_token_file))))


async def _resign(target: Target, token: str) -> tuple[Any, str]:
    code, body = await fetch(target, "/leader/resign", method="POST", token=token)
    if code != 200:
        raise asking.refusal(target, code, body)
    return body, f"{body['identity']} has resigned from term {body['term']}"
