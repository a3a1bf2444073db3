"""Work in shares: each of N replicas holds a balanced part of the partitions, and each partition is an election.

Pure rules: `assignment`, `decisions`. Over asyncio: `membership` (the members as ZooKeeper has them), `shares` (the
work).
"""
