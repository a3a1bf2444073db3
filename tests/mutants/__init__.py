"""Broken on purpose: each mutant breaks one rule of the library, and something must notice.

`rules` is the list; `catchers` are those that must notice: Hypothesis' state machine, the exhaustive walk, the
simulation. `python -m tests.mutants` prints who caught whom.
"""
