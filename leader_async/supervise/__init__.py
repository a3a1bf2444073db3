"""Processes that never outlive a lease: the COMMAND of `leader-async run -- COMMAND…`, and those of jobs (`command`).

    run (`runner`)  ── socketpair ──►  supervisor (`supervisor`)  ── parent of ──►  COMMAND and all that it starts
      ZooKeeper, the election            its own deadline, the guardian of run's session

Rules:
1. COMMAND never outlives its lease. The supervisor knows the lease's end and enforces it alone, even while `run` is
   frozen: SIGTERM when a tenth of the lease is left, SIGKILL at its end. The tenth after that is for dying and clocks.
2. The place in the queue is given up only when every descendant of COMMAND is gone. The supervisor is a child
   subreaper: a daemon of COMMAND becomes its child. So when it has no child, no descendant is left.
3. If `run` dies, the supervisor kills all processes, and then frees the place. If the supervisor dies, the kernel sends
   SIGKILL to COMMAND, and `run` adopts the rest, kills it, frees the place and ends. Children that `run` had before (a
   shell's, which became `run` by `exec`) live on, with all that they start in the session of `run`; a daemon of theirs
   may be killed.

Not promised: if `run` and its supervisor are killed at one instant, COMMAND dies with them, but processes that it
started live on, and the next replica leads after the session timeout. A container or systemd's KillMode ends those as
well. If both are frozen, COMMAND may outlive the lease; the token fences it off. A process that changes to a user whom
the supervisor may not signal keeps the place; the log names it.
"""
