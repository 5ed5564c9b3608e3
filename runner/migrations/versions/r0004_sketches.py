"""What known patches are told by when another one is almost the same.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column; of patches that are known already, nobody knows it."""
    op.add_column("patches", sa.Column("sketch", sa.Text, nullable=False, server_default="[]"))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("patches", "sketch")
