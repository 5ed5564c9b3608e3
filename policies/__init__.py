"""Built-in policies: data, read with `importlib.resources`."""
