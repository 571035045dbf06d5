"""Corrections of orders that were answered before the facts were known: their place in the model.

The worker does not tell them yet, so none is expected, and one that comes out has no cause. When it does, what an order
must be told becomes a function of the facts in whatever order they became known, and this module is where it goes:
called after every fact (a version, settings) and after every order.
"""

from typing import TYPE_CHECKING

from model.envelope import Event
from model.records import Outcome

if TYPE_CHECKING:
    from model.worker import Model


def corrections(model: "Model", event: Event) -> list[Outcome]:
    """What has to be told anew after an event."""
    del model, event
    return []
