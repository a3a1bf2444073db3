"""The systems under test, one process a replica: `python -m tests.campaigns.replicas.ours` and its sisters.

Arguments: servers, election, identity, session timeout, lease (both in seconds; who has none ignores it), the file for
the observations, the file of the shared work. They end on SIGTERM, gracefully.
"""
