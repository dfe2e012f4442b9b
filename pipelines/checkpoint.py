"""A checkpoint folder, as far as early fusion must know it: tokenizer, template, limits, special tokens.

The folder has the form of a hub checkpoint of Qwen3.5 (`config.json`, `tokenizer.json`, `chat_template.jinja`,
`preprocessor_config.json`, `video_preprocessor_config.json`, and where there is one `generation_config.json`), or that
of what transformers 5 saves, with one `processor_config.json` in the place of those two. Nothing here loads weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from pipelines.types import Json, Limits, Message, Tool, UserError, Vision

MODEL_TYPES = ("qwen3_5", "qwen3_5_moe")
"""Dense models and mixtures of experts, which differ in the feed-forward part of their layers alone."""
GENERATION, PROCESSOR = "generation_config.json", "processor_config.json"
END_OF_TURN = "<|im_end|>"


@dataclass(frozen=True, eq=False)
class Checkpoint(Vision):
    """The parts of a checkpoint that turn messages into token ids and bound what it sees."""

    gives_ids = True
    tokenizer: Tokenizer
    template: Template
    image_token_id: int
    video_token_id: int
    eos_token_ids: frozenset[int]
    context_tokens: int

    @classmethod
    def open(cls, path: Path, name: str | None = None) -> Checkpoint:
        """Read a folder, which people know by `name` where that is not its own.

        Raises UserError where a file is missing, damaged or of another kind of model or weights.
        """
        folder = _Folder(path, name or path.name)
        config = _read_config(folder)
        text, tokenizer = config.object("text_config"), _read_tokenizer(folder)
        picture = _read_processor(folder, "image_processor", "preprocessor_config.json")
        clip = _read_processor(folder, "video_processor", "video_preprocessor_config.json")
        return cls(
            tokenizer=tokenizer,
            template=_read_template(folder),
            picture_limits=picture.limits(),
            clip_limits=clip.limits(),
            min_frames=int(clip.number("min_frames", 4)),
            max_frames=int(clip.number("max_frames", 768)),
            image_token_id=int(config.number("image_token_id")),
            video_token_id=int(config.number("video_token_id")),
            eos_token_ids=frozenset(_eos_ids(folder, config, tokenizer)),
            context_tokens=int(text.number("max_position_embeddings")),
        )

    @cached_property
    def control_tokens(self) -> tuple[str, ...]:
        """Every token with a meaning of its own to the model, as `<|im_end|>`, `<think>` and `<tool_call>`."""
        added = self.tokenizer.get_added_tokens_decoder().values()
        return tuple(token.content for token in added if token.content[:1] + token.content[-1:] == "<>")

    def render(self, messages: Sequence[Message], enable_thinking: bool, tools: Sequence[Tool] = ()) -> str:
        """The prompt of a conversation, one placeholder an item, ending where the assistant begins.

        It offers `tools` where there are any.
        """
        offer = {"tools": tools} if tools else {}
        try:
            return self.template.render(
                messages=messages,
                add_generation_prompt=True,
                enable_thinking=enable_thinking,
                add_vision_id=False,
                **offer,
            )
        except Exception as error:  # whatever a line of it leads to
            said = str(error).rstrip(".") or type(error).__name__
            raise UserError(f"The model's chat template refuses this conversation: {said}.") from error

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, control tokens included where it spells them."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def token_id(self, token: str) -> int:
        """The id of one token. Raises UserError where the tokenizer lacks it."""
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise UserError(f"The checkpoint's tokenizer lacks {token}: download the checkpoint again.")
        return found


def check_config(path: Path, name: str) -> None:
    """Raise UserError where a folder that people know by `name` has no config.json of a model that can be run."""
    _read_config(_Folder(path, name))


@dataclass(frozen=True)
class _Folder:
    """Where a checkpoint is, and what people know it by: at the hub's cache its folder is named for a commit."""

    path: Path
    name: str

    def __truediv__(self, file: str) -> Path:
        return self.path / file


@dataclass(frozen=True)
class _Object:
    """A JSON object of a file of the checkpoint, read key by key with errors that name the file."""

    file: str
    values: Mapping[str, Json]

    @classmethod
    def read(cls, folder: _Folder, file: str) -> _Object:
        try:
            values = json.loads((folder / file).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f'"{folder.name}" is not a whole checkpoint: {file} is missing.') from None
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f'"{folder.name}" cannot be read: {file} is damaged; download it again.') from error
        return cls(file, values if isinstance(values, dict) else {})

    def object(self, key: str) -> _Object:
        value = self.values.get(key)
        return _Object(self.file, value if isinstance(value, Mapping) else {})

    def text(self, key: str) -> str:
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str, default: float | None = None) -> float:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise self._unusable(key)
        return value

    def limits(self) -> Limits:
        """Pixel limits, under `size` as the present form has them."""
        size = self.object("size")
        least, most = int(size.number("shortest_edge")), int(size.number("longest_edge"))
        if not 0 < least <= most:
            raise self._unusable("size")
        return Limits(least, most)

    def _unusable(self, key: str) -> UserError:
        return UserError(f'The checkpoint\'s {self.file} holds no usable "{key}": download it again.')


def _read_config(folder: _Folder) -> _Object:
    config = _Object.read(folder, "config.json")
    if config.text("model_type") not in MODEL_TYPES:
        raise UserError(f'"{folder.name}" is not a Qwen3.5 checkpoint: its config.json names another model type.')
    if any(part.values.get("quantization_config") for part in (config, config.object("text_config"))):
        raise UserError(
            f'"{folder.name}" holds quantised weights, which are not read here: take the 16-bit checkpoint that it was '
            "made from, and --weights int8 where memory is short."
        )
    return config


def _read_processor(folder: _Folder, key: str, file: str) -> _Object:
    """What bounds media of a kind: a part of processor_config.json, which transformers asks first too, else a file."""
    if (folder / PROCESSOR).is_file() and (saved := _Object.read(folder, PROCESSOR).object(key)).values:
        return saved
    return _Object.read(folder, file)


def _read_tokenizer(folder: _Folder) -> Tokenizer:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise UserError(f'"{folder.name}" is not a whole checkpoint: tokenizer.json is missing.')
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception for whatever is wrong with the file
        raise UserError(f'"{folder.name}" cannot be read: tokenizer.json is damaged; download it again.') from error


class _Generation(Extension):
    """The tag `generation`, by which templates for training mark what the assistant said: all that is in it stays."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 has it

    def parse(self, parser: Parser) -> nodes.Node:
        """What stands between it and its end, with names of its own as in transformers."""
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def _read_template(folder: _Folder) -> Template:
    """The chat template, in the sandbox and with the tags and globals that transformers gives it."""
    file = folder / "chat_template.jinja"
    written = file.read_bytes() if file.is_file() else b""
    other = "" if written else _Object.read(folder, "tokenizer_config.json").text("chat_template")
    if not (written or other):
        raise UserError(f'"{folder.name}" is not a whole checkpoint: chat_template.jinja is missing.')
    extensions: list[type[Extension]] = [loopcontrols, _Generation]
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    environment.globals.update(raise_exception=_refuse, strftime_now=lambda form: datetime.now().strftime(form))
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        return environment.from_string(written.decode() or other)
    except Exception as error:  # no UTF-8, or what becomes no program: nested too deep
        raise UserError(f'"{folder.name}" cannot be read: chat_template.jinja is damaged ({error}).') from error


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _eos_ids(folder: _Folder, config: _Object, tokenizer: Tokenizer) -> Iterator[int]:
    """Ids that end a reply: whatever a file of the folder says does, and what ends a turn in the chat template.

    Qwen/Qwen3.5-2B and 4B have no generation_config.json, and their config.json names the end of a document alone.
    """
    has_own = (folder / GENERATION).is_file()
    said = _Object.read(folder, GENERATION) if has_own else config
    for source in (said, config, config.object("text_config")):
        ids = source.values.get("eos_token_id")
        yield from (found for found in (ids if isinstance(ids, list) else [ids]) if isinstance(found, int))
    end = tokenizer.token_to_id(END_OF_TURN)
    if end is not None:
        yield end
