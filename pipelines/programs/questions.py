"""The question behind each tool, in the words that Qwen's models were taught to ground by."""

from __future__ import annotations

from pipelines.types import MediaKind, UserError

BOXES = "Locate every instance that belongs to the following categories: {}. Report bbox coordinates in JSON format."
POINTS = "Point to the {}. Report point coordinates in JSON format."
SPANS = "When is the {} visible? Report start and end as mm:ss.ff in JSON format."
EVENTS = (
    "Find every event of the clip and describe each in a sentence. "
    "Report start and end as mm:ss.ff with the description in JSON format."
)
DESCRIBE = "Describe the {}."
READ = "Read all the text in the {}. Write only what is written there, line by line."


def detecting(what: str) -> str:
    """For the boxes of each kind of thing, where commas part the kinds."""
    kinds = [kind.strip() for kind in _named(what).split(",")]
    return BOXES.format(", ".join(f"'{kind}'" for kind in kinds if kind))


def pointing(what: str) -> str:
    """For a point on a thing."""
    return POINTS.format(_named(what))


def spotting(what: str) -> str:
    """For the spans of time in which something is visible, or of all events where nothing is named."""
    return SPANS.format(what.strip()) if what.strip() else EVENTS


def describing(kind: MediaKind) -> str:
    """For a description."""
    return DESCRIBE.format(kind)


def reading(kind: MediaKind) -> str:
    """For the text that is written."""
    return READ.format(kind)


def _named(what: str) -> str:
    if not what.strip(" ,"):
        raise UserError("Nothing is named to look for: say what, as in 'red circle'.")
    return what.strip()
