# Daily work. `./demo` and `./test` need no just; this is only shorter.
set positional-arguments

export PYTHONSAFEPATH := "1"
bin := justfile_directory() / ".venv/bin"

# What there is
_default:
    @just --list --unsorted

# Everything that CI checks on every push
ci:
    .ci/run

# All tests, with the static checks
test *args:
    ./test "$@"

# Fast tests, without containers
unit *args:
    ./test unit "$@"

# Tests with real containers, git and servers
integration *args:
    ./test integration "$@"

# Whole stories, the demo's acts among them
acceptance *args:
    ./test acceptance "$@"

# Static checks only
lint:
    ./test lint

# Types only
types:
    {{ bin }}/mypy

# Mend what ruff can mend
fix:
    {{ bin }}/ruff check --fix .
    {{ bin }}/ruff format .

# The two acts
demo *args:
    ./demo "$@"

# Write requirements.lock anew from pyproject.toml; `just lock --upgrade` takes newer versions
lock *args:
    uv pip compile --quiet --universal --generate-hashes --no-header --group dev "$@" -o requirements.lock pyproject.toml

# Draw docs/demo.svg from a real run of the demo
picture:
    COLUMNS=104 TTY_COMPATIBLE=1 TTY_INTERACTIVE=0 ./demo < /dev/null | COLUMNS=104 {{ bin }}/python .ci/picture.py docs/demo.svg
