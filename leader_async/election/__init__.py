"""Who leads.

`rules` decides and is pure; the other files carry it out over asyncio. `election` is the public API.
"""
