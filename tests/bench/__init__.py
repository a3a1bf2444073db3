"""How fast: `python -m tests.bench`, or `make bench`.

`candidates` are the systems, in processes of their own; `fleet` starts them, tells them what to do and hears when it
happened; `cases` measure one thing each; `figures` is what came of it; `report` and `pictures` tell it. All systems of
a case are there at the same time, at the same ZooKeeper, and take turns: what else the machine does hits all alike.

Figures are told, not judged.
"""
