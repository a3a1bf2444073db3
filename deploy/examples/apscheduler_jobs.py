"""APScheduler, in one place: `leader-async run --election jobs -- python apscheduler_jobs.py`, in this folder."""

import os
import sys

from apscheduler.schedulers.blocking import BlockingScheduler


def tick() -> None:
    """The job; its writes would carry the token."""
    sys.stdout.write(f"tick under token {os.environ['LEADER_TOKEN']}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    scheduler = BlockingScheduler()
    scheduler.add_job(tick, "interval", seconds=1)
    scheduler.start()
