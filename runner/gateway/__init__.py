"""The model gateway: the one door out of an agent's container."""
