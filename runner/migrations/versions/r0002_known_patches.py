"""Patches that were refused, closed by a person, or taken back.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of known patches."""
    op.create_table(
        "patches",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("repo", sa.String(400), nullable=False),
        sa.Column("patch", sa.String(80), nullable=False),
        sa.Column("run", sa.String(40), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("terms", sa.String(80), nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("link", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("run", "attempt", "outcome"),
    )
    op.create_index("patches_by_repo", "patches", ["repo", "patch"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("patches")
