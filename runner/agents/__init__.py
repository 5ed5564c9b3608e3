"""The coding agents: the real CLIs, the replay script, and who writes summaries."""
