"""A model by its name, or by its name at a server."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from pipelines.catalogue.choosing import AUTO
from pipelines.catalogue.download import at_hub
from pipelines.catalogue.known import DEMO
from pipelines.disk import expanded
from pipelines.types import WeightFormat

if TYPE_CHECKING:
    from pipelines.engine import Engine

AT = "@http"
SECRET = re.compile(r"(?<=://)[^/]*@|\?.*")
"""In an address: who asks there with which password, and what stands behind the question mark."""


def split(place: str) -> tuple[str, str | None]:
    """The name of a model, and behind an "@" the address of the server that has it; None where it runs here.

    Without a name it is the only model of that server, which is what `load_engine` makes of `DEMO` there.
    """
    at = place.rfind(AT)
    if at < 0:
        return place.strip(), None
    return place[:at].strip() or DEMO, place[at + 1 :].strip()


def shown(place: str) -> str:
    """The place as others may read it: a password or a key in its address is its owner's alone."""
    return place if split(place)[1] is None else SECRET.sub("", place)


def check(place: str) -> None:
    """Raise UserError for what can be no model, before another one has worked for nothing."""
    from pipelines.engine.remote.server import host_of

    name, base_url = split(place)
    if base_url is not None:
        host_of(base_url)
    elif name not in (DEMO, AUTO) and not expanded(name).is_dir():
        at_hub(name)


def load(place: str, weights: WeightFormat = "full") -> Engine:
    """The engine. Raises UserError where it cannot be had."""
    from pipelines.models import Running, load_engine  # torch and transformers take seconds

    name, base_url = split(place)
    if base_url is None:
        return load_engine(name, Running(weights=weights), lambda sentence: print(sentence, file=sys.stderr))
    return load_engine(name, Running("openai", base_url=base_url))
