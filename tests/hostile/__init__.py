"""Hostile input from outside: HTTP requests of every kind, and bytes that are no ZooKeeper protocol."""
