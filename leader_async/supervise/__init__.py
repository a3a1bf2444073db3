"""Commands that never outlive their lease: that of `leader-async run -- COMMAND…`, and those of jobs (`command`).

    run (`runner`)  ── socketpair ──►  supervisor (`supervisor`)  ── parent of ──►  COMMAND and whatever it starts
      ZooKeeper, the election            its own deadline, the guardian of run's session

Rules:
1. COMMAND never outlives its lease: the supervisor knows the lease's end and keeps it by itself, also while `run` is
   frozen. SIGTERM when a tenth of the lease is left, SIGKILL at its end; the tenth behind that is for dying and clocks.
2. The place is given up only when every descendant of COMMAND is gone. The supervisor is a child subreaper, so whoever
   daemonises becomes its child; having no child left means that nobody is left.
3. `run` dies: the supervisor kills everything, and frees the place after that. The supervisor dies: COMMAND gets
   SIGKILL from the kernel, `run` adopts the rest, kills it, frees the place and ends. Children that `run` had before
   (of a shell that has become it by `exec`) live on, and what they start in our session; a daemon of theirs may not.

Not promised: if `run` and its supervisor are killed in one instant, COMMAND dies with them, but what it had started
lives on; the next one leads after the session timeout. A container or systemd's KillMode ends those as well. The same
holds if both are frozen: the token is for that. A process that changes to a user we may not signal keeps the place; the
log says which one.
"""
