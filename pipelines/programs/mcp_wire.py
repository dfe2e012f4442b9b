"""The server of the tools, with an answer of ours to what its agent sends wrongly.

The package gives a request that it cannot parse no answer, so that its agent waits for ever, and of an argument of a
wrong type it tells what its own checks call that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.stdio import stdio_server
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, CallToolResult, InputRequiredResult, JSONRPCError
from pydantic import ValidationError

UNREADABLE = (
    "That request cannot be read: send it as JSON-RPC 2.0, nested a little, its text without unpaired surrogates."
)
_ERROR = {"code": INVALID_REQUEST, "message": UNREADABLE}


class Server(MCPServer):
    """Tools by functions, on stdin and stdout. `kinds` tells of each argument by name what it has to be."""

    def __init__(self, name: str, instructions: str, kinds: Mapping[str, str]) -> None:
        super().__init__(name, instructions=instructions, log_level="ERROR")
        self._kinds = kinds

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """What the tool gives. Raises ToolError with a sentence where an argument is missing or of a wrong type."""
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            wrong = error.__cause__
            if isinstance(error, UnexpectedToolError) or not isinstance(wrong, ValidationError):
                raise
            raise ToolError(self._sentence(name, wrong)) from error

    async def run_stdio_async(self) -> None:
        """Serve until stdin ends."""
        async with stdio_server() as (arriving, leaving), anyio.create_task_group() as tasks:
            sending, receiving = anyio.create_memory_object_stream[SessionMessage | Exception]()
            tasks.start_soon(_pass_on, arriving, sending, leaving)
            options = self._lowlevel_server.create_initialization_options()
            await self._lowlevel_server.run(receiving, leaving, options)

    def _sentence(self, tool: str, error: ValidationError) -> str:
        faults = {str(one["loc"][0]): one["type"] == "missing" for one in error.errors()}
        said = ", ".join(
            f'"{name}" is missing' if is_missing else f'"{name}" has to be {self._kinds[name]}'
            for name, is_missing in faults.items()
        )
        return f'The tool "{tool}" cannot be called so: {said}.'


async def _pass_on(
    arriving: ReadStream[SessionMessage | Exception],
    sending: MemoryObjectSendStream[SessionMessage | Exception],
    leaving: WriteStream[SessionMessage],
) -> None:
    async with sending:
        async for message in arriving:
            if not isinstance(message, Exception):
                await sending.send(message)
            elif (refusal := _refusal(message)) is not None:
                await leaving.send(SessionMessage(refusal))


def _refusal(error: Exception) -> JSONRPCError | None:
    """The answer to a request that could not be read; None where its id cannot be told, or nobody waits for one."""
    for fault in error.errors() if isinstance(error, ValidationError) else ():
        try:
            message = json.loads(fault["input"]) if fault["type"] == "json_invalid" else fault["input"]
            if isinstance(message, dict) and "method" in message and "id" in message:
                asked = json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": _ERROR}, ensure_ascii=False)
                return JSONRPCError.model_validate_json(asked)
        except (ValueError, RecursionError):
            return None
    return None
