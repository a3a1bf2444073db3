"""ZooKeeper's protocol: messages, their bytes, one session, one client. Nothing here knows what an election is."""
