"""The model gateway: an agent's container reaches its provider through one unix socket, and nothing else.

`server.Gateway` makes doors; a `door.OpenDoor` is one attempt's way out; `asking` waits for the provider, and `breaker`
leaves it alone while it is down; `responses`, `completions` and `messages` are the dialects; `ledger` counts and shuts;
`record` keeps what went through.
"""

from runner.gateway.asking import Patience
from runner.gateway.server import Gateway

__all__ = ["Gateway", "Patience"]
