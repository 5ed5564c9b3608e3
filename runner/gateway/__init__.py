"""The model gateway: an agent's container reaches its provider through one unix socket, and nothing else.

`server.Gateway` makes doors; a `door.OpenDoor` is one attempt's way out; `responses` and `messages` are the two
dialects; `ledger` counts and shuts; `record` keeps what went through.
"""

from runner.gateway.door import Patience
from runner.gateway.server import Gateway

__all__ = ["Gateway", "Patience"]
