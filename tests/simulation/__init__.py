"""The real library in virtual time: many processes, an ensemble, a network, and everything that can go wrong with them.

`timeline` is the time that all share, `loop` an event loop for each process on it, `network` carries bytes, `ensemble`
is three servers around one log (the embedded server's own host and tree), `process` runs the library, `plan` says what
happens in a run, `judge` holds it against the invariants, `run` puts them together.

One plan is one run, to the last byte: all chance comes from the plan's seed, all time from the timeline.
"""
