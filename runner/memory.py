"""What became of patches: those that were refused, closed by a person, or taken back are not proposed again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runner.model import Noun

_PATCHES = sa.Table(
    "patches",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("repo", sa.String(400)),
    sa.Column("patch", sa.String(80)),
    sa.Column("run", sa.String(40)),
    sa.Column("attempt", sa.Integer),
    sa.Column("outcome", sa.String(20)),
    sa.Column("terms", sa.String(80)),
    sa.Column("fingerprint", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("link", sa.Text),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("sketch", sa.Text),
)


_MOST_ENDED = 300


class KnownPatch(Noun):
    """One patch and what happened to it.

    `repo` is git's address, `patch` what `runner.git.identity.patch_id` calls it. `terms` are what it was refused
    under: another base, goal or policy may judge otherwise. `fingerprint` names the error that it was meant for,
    `link` is its pull request. `sketch` is what `runner.git.likeness` knows it by.
    """

    repo: str
    patch: str
    run: str
    attempt: int
    outcome: Literal["refused", "closed", "reverted"]
    terms: str = ""
    fingerprint: str = ""
    reason: str = ""
    link: str = ""
    at: datetime
    sketch: tuple[int, ...] = ()


class Memory:
    """Known patches in the store's database.

    Args:
        engine: SQLAlchemy's engine, its schema up to date.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def remember(self, known: KnownPatch) -> None:
        """Write down what happened; the same run, attempt and outcome again replaces the line."""
        same = (
            _PATCHES.c.run == known.run,
            _PATCHES.c.attempt == known.attempt,
            _PATCHES.c.outcome == known.outcome,
        )
        with self._engine.begin() as db:
            db.execute(_PATCHES.delete().where(*same))
            fields = known.model_dump()
            db.execute(_PATCHES.insert().values(**fields | {"sketch": json.dumps(fields["sketch"])}))

    def recall(self, repo: str, patch: str, *, terms: str, run: str, attempt: int) -> KnownPatch | None:
        """The newest no to a patch: a person's or production's, or our own under the same terms.

        What this very attempt (asked again after a kill) or a later one of the run left does not count.
        """
        query = (
            sa.select(_PATCHES)
            .where(_PATCHES.c.repo == repo, _PATCHES.c.patch == patch)
            .where(sa.or_(_PATCHES.c.outcome != "refused", _PATCHES.c.terms == terms))
            .where(sa.not_(sa.and_(_PATCHES.c.run == run, _PATCHES.c.attempt >= attempt)))
            # A person's word says more than ours.
            .order_by(_PATCHES.c.outcome == "refused", _PATCHES.c.id.desc())
            .limit(1)
        )
        with self._engine.connect() as db:
            row = db.execute(query).mappings().one_or_none()
        return _known(row) if row is not None else None

    def ended(self, repo: str, *, run: str) -> list[KnownPatch]:
        """The newest patches of other runs that a person closed or that were taken back, newest first."""
        query = (
            sa.select(_PATCHES)
            .where(_PATCHES.c.repo == repo, _PATCHES.c.outcome != "refused", _PATCHES.c.run != run)
            .order_by(_PATCHES.c.id.desc())
            .limit(_MOST_ENDED)
        )
        with self._engine.connect() as db:
            return [_known(row) for row in db.execute(query).mappings()]


def _known(row: sa.RowMapping) -> KnownPatch:
    fields = {key: value for key, value in row.items() if key != "id"}
    at = fields["at"]
    fields["at"] = at if at.tzinfo else at.replace(tzinfo=UTC)
    return KnownPatch.model_validate({**fields, "sketch": json.loads(fields["sketch"])})
