"""A client of ZooKeeper. Nothing here knows what an election is.

client      one session over asyncio             session     its rules, pure
dialling    keeps it connected                   messages    requests, replies and events, pure
link        one TCP connection                   wire/       their bytes, pure
mirror      znodes, as last read                 foreign     what only other clients send, for `embedded`

hosts       the connect string                   reporting   what is logged and counted of a session
identity    credentials, and access lists        stats       the counts
tls         encryption                           status      the session, as a value
"""
