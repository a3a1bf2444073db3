"""Work that fires once across all replicas, with a ledger of it in ZooKeeper."""

from .job_options import JobOptions
from .run import JobRun
from .schedule import Schedule
from .status import Attempt, JobStatus

__all__ = ("Attempt", "JobOptions", "JobRun", "JobStatus", "Schedule")
