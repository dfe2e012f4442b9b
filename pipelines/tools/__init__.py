"""What the model may call on its way to an answer: how it is offered, how a call is read, and what it gives back."""

from pipelines.tools.closer import MAX_LOOKS, Refused, Zoom
from pipelines.tools.looking import Written, follow, shown, told
from pipelines.tools.offer import offered

__all__ = ["MAX_LOOKS", "Refused", "Written", "Zoom", "follow", "offered", "shown", "told"]
