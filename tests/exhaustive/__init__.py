"""Every interleaving: the rules of the election walked through exhaustively, within stated bounds.

`walk` goes through all states of the little world of `properties/world.py` (the real candidacies and keepers, the
embedded server's tree); `__main__` reports the numbers; `test_walk` does a smaller part in the suite; `test_traps` are
the schedules that once broke a draft of the rules, each by its name.
"""
