"""The guardian: a small helper process that ends the session of a process which has died.

The session of a killed process lives on until its timeout, and nobody leads meanwhile. The kernel knows at once. So the
application tells a guardian of its session (id, password) and of its elections, over a socketpair; when the application
is gone, the guardian resumes the session, writes the leave of every term that the session holds, and closes it.

    application                                guardian
    tie       ──── socketpair, `protocol` ────  watch      is the application gone?
    finding   (has one, or starts one)          ending     then: resume, leave, close
                                                __main__   in a process that the application started, or
                                                container  as the first process of a container, `leader-async guard`

Rules:
1. Only the end of the process allows it to write a leave, by the kernel's word, which a pidfd gives. An end of file is
   not enough: a library that closes all descriptors leaves a living process behind, and a process that was forked by C
   code may keep one open after the death. Where there are no pidfds, an end of file has the session closed and nothing
   written: the next leader waits the lease out. Silence, a stopped process, a long pause mean nothing at all.
2. It writes `left` only on the version at which it has read `held` by a znode that this very session owns.
3. It begins no session, and gives up when the one that it was told of must have expired.
4. It never keeps the application from running or exiting. It is told everything and asked nothing; without it, or if it
   dies, the session's timeout decides, as if there had never been one. That is only logged.
5. The session's password, and that of a `Digest`, are in memory and on the socketpair only: in no argument,
   environment, log or repr. Of TLS the paths are told, and the guardian reads the files itself.
6. A child that the application forks closes the descriptor; `exec` does so as well.

It does not promise to survive whatever ends the process: a whole container or machine that goes takes it along. Nor
does it wait for other processes that the application had started, whose work goes on; the token is for those. Its log
is the application's stderr, in the application's own form as far as that can be handed on (`logs.form_here`): whoever
waits for an end of file there may have to wait for the guardian's end.
"""
