"""Runs and their audit trail.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first two tables."""
    op.create_table(
        "runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("repo", sa.String(400), nullable=False, index=True),
        sa.Column("status", sa.String(20), nullable=False, index=True),
        sa.Column("workflow", sa.String(20), nullable=True, index=True),
        sa.Column("generation", sa.Integer, nullable=False, default=0),
        sa.Column("argument", sa.Text, nullable=False, default=""),
        sa.Column("now", sa.Text, nullable=False, default=""),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "moments",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run", sa.String(40), nullable=False, index=True),
        sa.Column("key", sa.String(120), nullable=False),
        sa.Column("step", sa.String(60), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.String(20), nullable=True),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.UniqueConstraint("run", "key"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("moments")
    op.drop_table("runs")
