"""Answers by customer with the customer first: suppliers are few, so that their ids told next to nothing apart and each descent
compared them in vain. A tenth of what an order's row costs the database.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP INDEX answers_by_customer")
    op.execute("CREATE INDEX answers_by_customer ON answers (customer_id, supplier_id, order_id)")
