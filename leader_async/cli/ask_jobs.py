"""`leader-async jobs`: what the jobs of an election did, and what they do next."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import click

from . import asking
from .asking import Away, Declined, Target, ask, clock_time, fetch, in_time, page, show, token_for


async def _all(target: Target) -> list[dict[str, Any]]:
    if target.url is not None:
        found: list[dict[str, Any]] = await page(target, "/jobs")
        return found
    from ..schedule.queries import read_jobs
    from ..zookeeper.reader import Reader

    async with asking.election_of(target) as (zk, election):
        return [asdict(job) for job in await in_time(target, read_jobs(Reader(zk.client), election.parent))]


async def _one(target: Target, name: str) -> dict[str, Any]:
    for job in await _all(target):
        if job["name"] == name:
            return job
    raise Declined(f"{target.election} has no job {name!r}; `leader-async jobs` lists them")


async def _run_now(target: Target, name: str, token: str) -> dict[str, Any]:
    status, body = await fetch(target, f"/leader/jobs/{name}/run", method="POST", token=token)
    if status == 202:
        return dict(body)
    if status in (401, 403, 404, 409) or "is_leader" in body:
        raise asking.refusal(target, status, body)
    raise Away(f"{target.url} answers {status}: {body.get('error', 'nothing that is understood')}")


async def _reset(target: Target, name: str) -> dict[str, Any]:
    from ..schedule import Schedule

    async with asking.election_of(target) as (_, election):
        found = await in_time(target, Schedule(election).reset(name))
    if found is None:
        raise Declined(f"{target.election} has no job {name!r}; `leader-async jobs` lists them")
    return asdict(found)


NEXT = {"given": "when it is given", "unknown": "known as soon as its leader has looked"}
"""The next slot of a trigger that has none, in words."""


def _summary(job: dict[str, Any]) -> str:
    if job.get("problem"):
        return f"{job['name']}  cannot be read: {job['problem']}"
    last = job["past"][-1] if job["past"] else None
    current = job["current"]
    if current is not None:
        state = f"{current['outcome']} since {clock_time(current['began'])} at {current['identity']}"
    elif last is not None:
        state = f"{last['outcome']} at {clock_time(last['ended'])} by {last['identity']}"
    else:
        state = "has not run yet"
    nothing = NEXT.get(job["trigger"], "never")
    following = nothing if job["next_slot"] is None else clock_time(job["next_slot"])
    return f"{job['name']}  ({job['trigger']})  {state}; next: {following}{_ahead(job)}"


def _ahead(job: dict[str, Any]) -> str:
    from ..schedule.ledger import ahead

    future = ahead(round(job["slot"] * 1000), round(time.time() * 1000))
    advice = f"`leader-async jobs {job['name']} --reset` brings it back"
    return f"; its ledger is {future / 1000:.0f} s in the future: {advice}" if future else ""


def _attempt(one: dict[str, Any]) -> str:
    took = "" if one["ended"] is None else f"  {one['ended'] - one['began']:.3f} s"
    asked = "  asked for" if one["manual"] else ""
    error = f"  {one['error']}" if one["error"] else ""
    number = "" if one["attempt"] == 1 else f"  attempt {one['attempt']}"
    who = f"{one['identity']}  token {one['token']}"
    return f"  {clock_time(one['slot'])}  {one['outcome']:<10}  {who}{took}{number}{asked}{error}"


@asking.command
@click.option("--now", is_flag=True, help="Have the job NAME run now. Needs --url and the token of /resign.")
@click.option("--reset", is_flag=True, help="Have the job NAME go on with its first slot after now, for instance if a "
              "wrong clock has left its ledger in the future.")  # fmt: skip
@asking.token_file
@click.argument("name", required=False)
def jobs(target: Target, name: str | None, now: bool, reset: bool, resign_token_file: str | None) -> None:
    """The jobs of an election: last run, next slot. With NAME, the last runs of that one, oldest first."""
    if reset:
        if name is None or target.url is not None or now:
            raise click.UsageError(
                "--reset needs the job's NAME, and --zookeeper: it is written there; not --url, --now"
            )
        job = ask(_reset(target, name))
        show(target, job, _summary(job))
    elif now:
        if name is None or target.url is None:
            raise click.UsageError("--now needs the job's NAME, and --url: ZooKeeper cannot run it")
        answer = ask(_run_now(target, name, token_for("--now", resign_token_file)))
        show(target, answer, f"{name} runs now at {answer['identity']}")
    elif name is not None:
        job = ask(_one(target, name))
        shown = [*job["past"], *([job["current"]] if job["current"] else [])]
        show(target, job, _summary(job), *map(_attempt, shown))
    else:
        found = ask(_all(target))
        show(target, found, *(map(_summary, found) if found else [f"{target.election} has no jobs"]))
