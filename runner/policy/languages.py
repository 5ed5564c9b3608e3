"""What kind of text a path holds, by its name."""

from __future__ import annotations

from runner.policy.globs import Globs

PYTHON = Globs(("*.py", "*.pyi", "*.pyw", "SConstruct", "wscript"))
JAVASCRIPT = Globs(("*.js", "*.mjs", "*.cjs", "*.jsx", "*.ts", "*.mts", "*.cts", "*.tsx", "*.vue", "*.svelte"))
CODE = Globs((
    *PYTHON.patterns, *JAVASCRIPT.patterns, "*.pyx", "*.pxd", "*.c", "*.h", "*.cc", "*.cpp", "*.cxx", "*.hpp", "*.cs",
    "*.go", "*.rs", "*.java", "*.kt", "*.kts", "*.scala", "*.rb", "*.php", "*.swift", "*.m", "*.mm", "*.sh", "*.bash",
    "*.zsh", "*.ps1", "*.bat", "*.cmd", "*.pl", "*.pm", "*.lua", "*.ex", "*.exs", "*.erl", "*.hs", "*.ml", "*.clj",
    "*.dart", "*.groovy", "*.gradle", "*.sql", "*.r", "*.jl", "*.zig", "*.nim", "*.v", "*.yml", "*.yaml", "*.toml",
    "*.cfg", "*.ini", "*.json", "*.html", "*.css", "*.tf", "Makefile", "Dockerfile",
))  # fmt: skip
"""Where what is written is run, or decides what is run."""
PROSE = Globs(("*.md", "*.rst", "*.txt", "*.adoc", "*.po", "*.pot", "docs/**", "doc/**", "CHANGES*", "CHANGELOG*"))
LOCKS = Globs((
    "*.lock", "*-lock.json", "*-lock.yaml", "npm-shrinkwrap.json", "go.sum", "requirements*.txt", "*requirements.txt",
    "requirements/**", "pylock*.toml", "bun.lockb", "*.snap", "*.svg", "*.ipynb", "*.map",
))  # fmt: skip
"""Files full of hashes, which are no secrets."""
EXAMPLES = Globs((
    "test/**", "tests/**", "testing/**", "**/test/**", "**/tests/**", "**/testdata/**", "**/fixtures/**", "test_*",
    "*_test.*", "*.test.*", "*.spec.*", "conftest.py", "examples/**", "**/examples/**", "**/__tests__/**",
))  # fmt: skip
"""Where values are likely to be made up."""
BUILD = Globs((
    "setup.py", "conftest.py", "noxfile.py", "/tasks.py", "/fabfile.py", "hatch_build.py", "/build.py", "docs/conf.py",
    "gulpfile.*", "Gruntfile.*", "webpack.config.*", "rollup.config.*", "vite.config.*", "scripts/**",
))  # fmt: skip
"""What is run while the project is built or its tests are collected."""
