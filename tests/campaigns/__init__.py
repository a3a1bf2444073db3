"""Campaigns of faults against a real ensemble: `python -m tests.campaigns --minutes 20`.

`field` is three ZooKeeper servers and the replicas' network, in namespaces; `replicas` are the systems under test, one
process each; `nemesis` draws faults and inflicts them; `history` is what the replicas wrote down; `checker` judges it
afterwards, and knows nothing else; `report` tells it in Markdown, JSON and pictures. `jobs` has the same faults on
replicas that run jobs: `jobs_history` is what those, their ledgers and PostgreSQL tell, `jobs_checker` judges it.
"""
