"""The published vectors of customer numbers: what is kept, and what is refused."""

from typing import Any

from contracts.published import each_vector
from relationship_worker.domain.customer_number_text import InvalidCustomerNumber, customer_number


@each_vector("customer-numbers")
def test_a_customer_number_is_kept_or_refused_as_published(vector: dict[str, Any]) -> None:
    given = vector["given"]

    try:
        became = {"kept": customer_number(given["text"], max_length=given["max_length"])}
    except InvalidCustomerNumber:
        became = {"refused": "invalid_customer_number"}

    assert became == {outcome: vector[outcome] for outcome in ("kept", "refused") if outcome in vector}
