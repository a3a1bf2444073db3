"""What a campaign of jobs showed, for people."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import TYPE_CHECKING

from .field import LEASE, TICK, TIMEOUT
from .jobs_checker import RULES
from .jobs_history import AHEAD, JOBS

if TYPE_CHECKING:
    from .jobs import JobsCampaign

SHOWN = 20
"""So many breaches of a rule are told in full."""


def markdown(done: JobsCampaign, command: str, date: str, cores: int) -> str:
    """The report."""
    jobs, leaders = done.jobs, done.leaders
    told = " and ".join(
        f'`{job.name}`, every {job.seconds} s, `missed="all"`, `unfinished="{job.unfinished}"`, works {job.takes:g} s'
        for job in JOBS
    )
    delays = sorted(jobs.delays) or [0.0]
    lines = [
        "# A campaign of jobs",
        "",
        f"`{command}`, {date}, {cores} cores. Three ZooKeeper 3.8 servers and five replicas, each in a network "
        f"namespace of its own; tick {TICK:g} s, session timeout {TIMEOUT:g} s, lease {LEASE:g} s. The jobs: {told}. "
        "Each run writes a row to PostgreSQL through the fence; a frozen transaction is ended by PostgreSQL after 1 s. "
        f"The clock of {AHEAD} is an hour ahead. The ledgers were read through each server all the time, the runs are "
        "what the replicas wrote down, on one clock for all.",
        "",
        "| promise | broken |",
        "|---|---|",
        *(f"| {text} | {len(jobs.broken[rule])} |" for rule, text in RULES.items()),
        f"| no two leaders | {len(leaders.overlaps)} |",
        f"| tokens only rise | {leaders.disorder} |",
        f"| somebody leads in time | {len(leaders.late)} |",
        f"| no znode is left behind | {len(done.orphans)} |",
        "",
        "| | |",
        "|---|---|",
        f"| minutes, seed | {done.minutes:.1f}, {done.seed} |",
        f"| faults | {len(done.troubles)} |",
        *(f"| slots of `{name}` | {count} |" for name, count in jobs.slots.items()),
        f"| attempts | {jobs.attempts} |",
        f"| unfinished: their leader died, lost the lead or was told to end | {jobs.unfinished} |",
        f"| made again | {jobs.reruns} |",
        f"| slots that were committed more than once, because nobody could write down that they were done | "
        f"{jobs.repeated} |",
        f"| attempts by {AHEAD}, whose clock is wrong | {jobs.ahead} |",
        f"| late writes refused by the fence | {jobs.refused} |",
        f"| attempts of frozen replicas that ended after the next had begun | {jobs.outlived} |",
        f"| from a slot to its run: median, worst of 95 %, worst | {statistics.median(delays):.3f}, "
        f"{delays[len(delays) * 95 // 100]:.2f}, {delays[-1]:.2f} s |",
        "",
        "Times inflicted, and seconds without a leader, median and worst:",
        "",
        "| fault | times | nobody led |",
        "|---|---|---|",
    ]
    for kind, count in sorted(Counter(trouble.kind for trouble in done.troubles).items()):
        seconds = leaders.leaderless[kind]
        lines.append(f"| {kind} | {count} | {statistics.median(seconds):.1f}, {max(seconds):.1f} |")
    for rule, ways in jobs.broken.items():
        lines += ["", f"{rule}:", "", *(f"- {way}" for way in ways[:SHOWN])] if ways else []
    return "\n".join(lines) + "\n"
