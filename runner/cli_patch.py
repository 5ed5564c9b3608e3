"""A patch as it is given on the command line: a file, or the name of a commit that holds the patched tree."""

from __future__ import annotations

from typing import IO

from runner.errors import UsageError

_LARGEST = 64 << 20


def given_patch(patch_file: IO[bytes] | None, head: str | None) -> bytes | None:
    """The text of `--patch`; None where `--head` says what is patched.

    Raises:
        UsageError: both are given, or neither, or the text is too large.
    """
    if (patch_file is None) == (head is None):
        raise UsageError("give either --patch FILE or --head REF", remedy="one of the two, not both")
    if patch_file is None:
        return None
    patch = patch_file.read(_LARGEST + 1)
    if len(patch) > _LARGEST:
        raise UsageError(f"the patch is larger than {_LARGEST >> 20} MiB", remedy="name a commit with --head REF")
    return patch
