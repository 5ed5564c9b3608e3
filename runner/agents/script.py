"""What a replayed model does: a TOML file, told in `docs/replay.md`.

    [[attempt]]
    turns = [
      { shell = "sed -i 's/a - b/a + b/' calc.py" },
      { say = "The sign was wrong; the sum is right now." },
    ]

The n-th attempt of a run takes the n-th entry; the last one is taken for all that follow. A turn is one of:

- `shell`: a command for the agent's own shell tool (with `say`, words before it);
- `apply`: a patch file, by its path from the script's folder, applied with `git apply`;
- `say` alone: the final message, which ends the attempt;
- `fail`: the HTTP status that the provider answers instead; `stall`: seconds of silence in the middle of an answer;
  `cut = true`: an answer that breaks off. These come before the turn that follows them, `times` times (default 1,
  0 for always).
"""

from __future__ import annotations

import base64
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runner.errors import ConfigError

# One command line may not be longer than 128 KiB on Linux; a patch goes into the container in pieces.
_PIECE = 90_000
_LANDING = "/tmp/replay.patch.b64"  # noqa: S108 - in the container


class Turn(BaseModel):
    """One answer of the model, or one fault before it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shell: str | None = None
    apply: Path | None = None
    say: str | None = None
    fail: int | None = Field(None, ge=400, le=599)
    stall: float | None = Field(None, gt=0)
    cut: bool = False
    times: int = Field(1, ge=0)

    @property
    def fault(self) -> bool:
        """Whether the provider misbehaves here."""
        return self.fail is not None or self.stall is not None or self.cut

    @model_validator(mode="after")
    def _one_thing(self) -> Turn:
        acts = [self.shell is not None, self.apply is not None, self.fail is not None, self.stall is not None, self.cut]
        if sum(acts) > 1 or not (any(acts) or self.say is not None):
            raise ValueError("a turn is one of shell, apply, say, fail, stall, cut (say may go with shell or apply)")
        if self.say is not None and self.fault:
            raise ValueError("a fault says nothing")
        return self


class Part(BaseModel):
    """`[[attempt]]`: what the model does in one attempt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    turns: tuple[Turn, ...] = Field(min_length=1)


class Script(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempt: tuple[Part, ...] = Field(min_length=1)

    def turns(self, number: int) -> tuple[Turn, ...]:
        """The turns of attempt `number`, counted from 1."""
        return self.attempt[min(number, len(self.attempt)) - 1].turns


def load_script(path: Path) -> Script:
    """Read a script; patches are read in, so that what comes back holds only shell commands, words and faults.

    Raises:
        ConfigError: the file is missing or wrong; the message names the place.
    """
    try:
        script = Script.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"the replay script {path} cannot be read: {e}") from e
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(f"the replay script {path} is not valid TOML: {e}") from e
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"the replay script {path}: `{where}`: {first['msg']}", remedy="see docs/replay.md") from e
    parts = [Part(turns=tuple(_spelled_out(part.turns, path))) for part in script.attempt]
    return Script(attempt=tuple(parts))


def _spelled_out(turns: tuple[Turn, ...], script: Path) -> list[Turn]:
    plain: list[Turn] = []
    for turn in turns:
        if turn.apply is None:
            plain.append(turn)
            continue
        try:
            patch = (script.parent / turn.apply).read_bytes()
        except OSError as e:
            raise ConfigError(f"the replay script {script} applies {turn.apply}, which cannot be read: {e}") from e
        commands = _apply(patch)
        plain.append(Turn(say=turn.say, shell=commands[0]))
        plain += [Turn(shell=command) for command in commands[1:]]
    return plain


def _apply(patch: bytes) -> list[str]:
    text = base64.b64encode(patch).decode()
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)] or [""]
    signs = [">"] + [">>"] * (len(pieces) - 1)
    commands = [f"printf %s '{piece}' {sign} {_LANDING}" for piece, sign in zip(pieces, signs, strict=True)]
    commands[-1] += f" && base64 -d {_LANDING} | git apply --whitespace=nowarn -"
    return commands
