"""What a server for strangers needs around the page: limits, turns, who may speak to it, and an orderly end."""

from pipelines.host.audience import Audience, Listening
from pipelines.host.gate import Gate
from pipelines.host.policy import PRIVATE_HOST, PUBLIC_HOST, Policy
from pipelines.host.turns import Turns, Visitor

__all__ = ["PRIVATE_HOST", "PUBLIC_HOST", "Audience", "Gate", "Listening", "Policy", "Turns", "Visitor"]
