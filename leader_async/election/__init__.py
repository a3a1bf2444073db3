"""Who leads.

Pure rules: `record`, `queue`, `candidacy`, `keeper`. Over asyncio: `connection`, `election`, `jobs`, `term`.
"""
