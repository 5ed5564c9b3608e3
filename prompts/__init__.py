"""What agents are told: data, read with `importlib.resources`."""
