"""For aiohttp: the status service (`app`), handlers that only the leader answers (`leading`), and
requests under a term's token (`fencing`)."""

from .app import create_app
from .fencing import require_token
from .leading import leader_only

__all__ = ("create_app", "leader_only", "require_token")
