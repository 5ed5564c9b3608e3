"""The runner: judges and shepherds patches. Read `pipeline.py` first."""
