"""The guardian: a small second process that ends the session of a process which has died.

The session of a killed process lives until its timeout, and nobody leads meanwhile. The kernel knows of the death at
once. So the application sends its session (id, password) and its elections to a guardian, over a socketpair. When the
application is gone, the guardian resumes the session, writes the leave of every term that the session holds, and closes
the session.

    application                                   guardian
    client    ───── socketpair, `protocol` ─────  watch       is the application gone?
    finding   finds one, or starts one            ending      then: resume, leave, close
                                                  __main__    in a process that the application started, or
                                                  container   as the first process of a container

Who starts it: `connect(guardian=True)` makes a `client.GuardianClient`, which at the first session hands its socket to
the guardian of the container (`finding.hand_over`; `leader-async guard` started that one), or else starts
`python -m leader_async.guardian` (`finding.spawn`).

Rules:
1. It writes a leave only if the kernel says that the process has ended, by a pidfd. An end of file does not suffice: a
   library may close all descriptors of a living process, and a process forked by C code may keep one open after the
   death. Without pidfds an end of file closes the session and writes nothing: the next leader waits the lease out.
   Silence, a stopped process, a long pause mean nothing.
2. It writes `left` only on the version at which it has read `held` by a znode of this very session.
3. It begins no session, and gives up when the one that it was sent must have expired.
4. It never keeps the application from running or exiting. The application sends, and awaits no answer. If the guardian
   is missing or dies, the session's timeout decides, as without a guardian. That is only logged.
5. The session's password, and that of an identity, are in memory and on the socketpair only: in no argument,
   environment, log or repr. Of TLS the paths are sent, and the guardian reads the files itself.
6. A child that the application forks closes the descriptor; `exec` does so as well.

It does not promise to survive what ends the process: the end of a container or machine ends it, too. It does not wait
for other processes that the application had started and whose work continues; the token is for those. Its log is the
application's stderr, in the application's own format as far as that can be passed on (`logs.form_here`): a reader that
waits for an end of file there may have to wait for the guardian's end.
"""
