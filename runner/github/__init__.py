"""GitHub through PyGithub.

`forge` is the `Forge` of the story, put together from `pulls`, `judgement` and `landing`; `locate` says where the
repository is that a person named; `doctor` looks at the token and its rights. `client`, `connection`, `failures`,
`shapes` and `ci` are what they are made of.
"""
