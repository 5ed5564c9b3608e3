"""The agents: real coding CLIs in a sealed container, and a scripted model to play them.

`catalog.build_agents` is the table; `cli` is how a CLI is run and judged; `codex` and `claude` are the two programs;
`replay` answers them from a script; `tools` fetches their binaries; `summary` writes what a reviewer reads first.
"""
