"""The candidates of each system, any number in one process: `python -m tests.bench.candidates.ours` and its sisters.

Arguments: servers, a path to keep below, session timeout in seconds, how many candidates, and words: `shared` gives
all of them one session and each an election of its own (else: a session each, one election for all), `spread` gives
each session one of the servers, by turns, `guardian` asks for one where the system has it.

They read orders, a line each: `join N`, `resign N` (join again at the back), `leave N`, `close` (everything,
gracefully, and end). They answer with what happened and when, on the monotonic clock of the machine: `ready -1 at`,
`leads N at`, `ends N at` (it leads no more, and nobody had told it to), `resigned N at`, `left N at`, `closing -1 at`.
The instants of the last three are read before the system is called; that of a `leads` when the user's code has been
told.
"""
