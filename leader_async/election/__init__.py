"""Who leads.

`rules` decides and is pure; the other files carry it out over asyncio. `election` and `observer` are the public API.
"""
