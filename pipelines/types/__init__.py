"""The values that pass between the parts of the program.

Leaves: they import nothing of the project but each other, and every class is a frozen value. Coordinates are 0 to 1000
on each axis of the upright original (x / 1000 * width, y / 1000 * height); times are seconds from the clip's start.
"""

from pipelines.types.chat import ContentPart, Json, Message, Tool, ToolCall
from pipelines.types.errors import TooLittleMemoryError, UserError
from pipelines.types.media import (
    Clip,
    ClipReader,
    Limits,
    Media,
    MediaKind,
    Picture,
    Probe,
    ProbedClip,
    ProbedPicture,
    Sight,
    Vision,
)
from pipelines.types.places import Box, Event, Grounding, Point, Region
from pipelines.types.reply import Channel, Delta, Gaze, Look, Said, Token
from pipelines.types.request import MAX_SYSTEM_CHARACTERS, EngineName, Request, Sampling, Settings, Turn, WeightFormat
from pipelines.types.result import (
    Deltas,
    EngineInfo,
    FinishReason,
    Observe,
    Outcome,
    Record,
    Reported,
    Result,
    ThoughtEnd,
    TokenCounts,
)
from pipelines.types.times import ClockName, Gaps, Progress, Roofline, Span, Stage, Task, Timing, Upload, Usage, Work

__all__ = [
    "MAX_SYSTEM_CHARACTERS",
    "Box",
    "Channel",
    "Clip",
    "ClipReader",
    "ClockName",
    "ContentPart",
    "Delta",
    "Deltas",
    "EngineInfo",
    "EngineName",
    "Event",
    "FinishReason",
    "Gaps",
    "Gaze",
    "Grounding",
    "Json",
    "Limits",
    "Look",
    "Media",
    "MediaKind",
    "Message",
    "Observe",
    "Outcome",
    "Picture",
    "Point",
    "Probe",
    "ProbedClip",
    "ProbedPicture",
    "Progress",
    "Record",
    "Region",
    "Reported",
    "Request",
    "Result",
    "Roofline",
    "Said",
    "Sampling",
    "Settings",
    "Sight",
    "Span",
    "Stage",
    "Task",
    "ThoughtEnd",
    "Timing",
    "Token",
    "TokenCounts",
    "TooLittleMemoryError",
    "Tool",
    "ToolCall",
    "Turn",
    "Upload",
    "Usage",
    "UserError",
    "Vision",
    "WeightFormat",
    "Work",
]
