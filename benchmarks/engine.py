"""The engine beside transformers' `generate`: `make bench-engine`.

Both run in turn, in one process, on one set of weights, greedily. What the machine could do at best is computed from
its own measured bandwidth and the bytes that a token reads. Weights of the real shapes are drawn on the device itself;
on a CPU, the shipped model and the 0.8B cut to four layers stand for them. It needs the repository, torch and
transformers.
"""

from __future__ import annotations

import argparse
import platform
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

from pipelines.checkpoint import Checkpoint
from pipelines.engine import LocalEngine
from pipelines.engine.placement import choose_placement
from pipelines.engine.reference import ReferenceEngine
from pipelines.fusion import fuse
from pipelines.inputs import ModelInputs
from pipelines.models import DEMO_FOLDER
from pipelines.types import ContentPart, Message, Picture, Sampling, Settings, Token

NUM_TOKENS = 64
VISITORS = 4
REPEATS = 5
SHAPES: dict[str, dict[str, int]] = {
    "0.8B": {"hidden_size": 1024, "intermediate_size": 3584, "num_hidden_layers": 24, "heads": 8, "kv": 2, "v": 16},
    "4B": {"hidden_size": 2560, "intermediate_size": 9216, "num_hidden_layers": 32, "heads": 16, "kv": 4, "v": 32},
    "9B": {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 32, "heads": 16, "kv": 4, "v": 32},
}
TOWERS: dict[str, tuple[int, int, int, int]] = {
    "0.8B": (12, 768, 12, 3072),
    "4B": (24, 1024, 16, 4096),
    "9B": (27, 1152, 16, 4304),
}
"""Depth, hidden size, heads and inner size of the vision tower."""


@dataclass(frozen=True)
class Times:
    """Seconds to the first token, and from it to the last, of `num_tokens`."""

    first_s: float
    rest_s: float
    num_tokens: int

    @property
    def rate(self) -> float:
        """Tokens a second behind the first."""
        return (self.num_tokens - 1) / self.rest_s


def random_model(size: str, layers: int | None, device: torch.device) -> Any:
    """A model of the real shapes, all 248,320 tokens included, with weights that mean nothing."""
    shape, (depth, hidden, heads, inner) = SHAPES[size], TOWERS[size]
    demo = Qwen3_5Config.from_pretrained(DEMO_FOLDER)
    text = {
        "vocab_size": 248_320,
        "hidden_size": shape["hidden_size"],
        "intermediate_size": shape["intermediate_size"],
        "num_hidden_layers": layers or shape["num_hidden_layers"],
        "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["kv"],
        "head_dim": 256,
        "linear_num_key_heads": 16,
        "linear_num_value_heads": shape["v"],
        "tie_word_embeddings": size != "9B",
        "max_position_embeddings": 32_768,
        "eos_token_id": None,
    }
    vision = {
        "depth": depth if layers is None else 2,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_heads": heads,
        "out_hidden_size": shape["hidden_size"],
    }
    tokens = {name: getattr(demo, name) for name in ("image_token_id", "video_token_id", "vision_start_token_id")}
    config = Qwen3_5Config(text_config=text, vision_config=vision, tie_word_embeddings=size != "9B", **tokens)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    torch.set_default_dtype(dtype)
    with device:
        model: Any = Qwen3_5ForConditionalGeneration(config).eval()
    torch.set_default_dtype(torch.float32)
    return model


def engines(model: Any, name: str) -> tuple[LocalEngine, ReferenceEngine]:
    """Ours and `generate` on the same weights; replies have no end of their own."""
    placement = choose_placement(DEMO_FOLDER)
    checkpoint = replace(Checkpoint.open(DEMO_FOLDER), eos_token_ids=frozenset[int](), context_tokens=32_768)
    return LocalEngine(model, checkpoint, name, placement), ReferenceEngine(model, checkpoint, name, placement)


def prompt(engine: LocalEngine, seed: int, max_pixels: int, question: str = "What is there?") -> ModelInputs:
    """A picture of `max_pixels` and a question about it."""
    side = int(max_pixels**0.5) // 32 * 32
    rgb = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    content: list[ContentPart] = [{"type": "image"}, {"type": "text", "text": question}]
    message: Message = {"role": "user", "content": content}
    limits = replace(engine.checkpoint.picture_limits, max_pixels=max(max_pixels, 65_536), min_pixels=1024)
    checkpoint = replace(engine.checkpoint, picture_limits=limits)
    return fuse([message], [Picture("noise", rgb, f"{seed} {side}")], checkpoint, False)


def timed(engine: LocalEngine, inputs: ModelInputs) -> Times:
    """One greedy reply."""
    settings = Settings(sampling=Sampling(), max_new_tokens=NUM_TOKENS)
    steps = engine.generate(inputs, settings, lambda _stage: None, threading.Event())
    started = time.perf_counter()
    stamps = [time.perf_counter() for step in steps if isinstance(step, Token)]
    return Times(stamps[0] - started, stamps[-1] - stamps[0], len(stamps))


def forget(engine: LocalEngine) -> None:
    """Leave nothing that a prompt could go on from."""
    engine.scheduler.snapshots.clear()
    engine.scheduler.tower.clear()


def visitors_rate(engine: LocalEngine, prompts: list[ModelInputs]) -> float:
    """Tokens a second of all visitors together, prefill included."""
    forget(engine)
    started = time.perf_counter()
    with ThreadPoolExecutor(len(prompts)) as pool:
        replies = list(pool.map(lambda inputs: timed(engine, inputs), prompts))
    return sum(reply.num_tokens for reply in replies) / (time.perf_counter() - started)


def bandwidth(device: torch.device) -> float:
    """Bytes a second that the device reads, by summing numbers larger than its caches."""
    numbers = torch.ones(2**28 if device.type == "cuda" else 2**26, device=device)
    return max(numbers.nbytes / seconds(numbers.sum, device) for _ in range(7))


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """How long a piece of work takes."""
    wait: Callable[[], object] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started


def bytes_of_a_token(model: Any) -> int:
    """Weights that one decode step reads: all of the text layers, and the head."""
    text = sum(parameter.nbytes for parameter in model.model.language_model.layers.parameters())
    return int(text + model.lm_head.weight.nbytes)


def rows(name: str, model: Any, max_pixels: int) -> Iterator[str]:
    """The figures of one model, as rows of a table."""
    ours, theirs = engines(model, name)
    best = bandwidth(model.device) / bytes_of_a_token(model)
    prompts = [prompt(ours, seed, max_pixels) for seed in range(VISITORS)]
    timed(ours, prompts[0]), timed(theirs, prompts[0])  # for warmth, and on a GPU the graphs
    pairs = []
    for turn in range(REPEATS):
        forget(ours)
        pairs.append((timed(ours, prompts[turn % VISITORS]), timed(theirs, prompts[turn % VISITORS])))
    our, their = (median(pair[side].rate for pair in pairs) for side in (0, 1))
    yield f"decode, tok/s | {our:.1f} | {their:.1f} | {our / their:.1f} x | {our / best:.0%} of {best:.0f}"
    our, their = (median(pair[side].first_s for pair in pairs) for side in (0, 1))
    yield f"first token, ms | {our * 1000:.0f} | {their * 1000:.0f} | {their / our:.1f} x | "
    again = []
    for _ in range(REPEATS):
        forget(ours)
        timed(ours, prompts[0])
        again.append(timed(ours, prompt(ours, 0, max_pixels)).first_s)
    yield f"the same asked again, ms | {median(again) * 1000:.1f} | | {our / median(again):.1f} x below the first | "
    one, four = [], []
    for _ in range(REPEATS):
        one.append(visitors_rate(ours, prompts[:1]))
        four.append(visitors_rate(ours, prompts))
    ratio = median(four) / median(one)
    yield f"{VISITORS} visitors, tok/s in all | {median(four):.1f} | {median(one):.1f} (one visitor) | {ratio:.1f} x | "


def main() -> None:
    """Measure every model that the device is for."""
    parser = argparse.ArgumentParser(description="Measure the engine beside transformers' generate.")
    parser.add_argument("--sizes", nargs="*", choices=list(SHAPES), help="random weights of these (default: what fits)")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    has_gpu = device.type == "cuda"
    name = torch.cuda.get_device_name() if has_gpu else f"{platform.machine()}, {torch.get_num_threads()} threads"
    print(f"{name}, torch {torch.__version__}, medians of {REPEATS}, {NUM_TOKENS} tokens a reply\n")
    print("| model | what | ours | generate | ratio | of the limit |\n|---|---|---|---|---|---|")
    if not has_gpu:
        num_threads = torch.get_num_threads()
        show("shipped, 1 thread", LocalEngine.load(DEMO_FOLDER, "demo").model, 192 * 192)
        torch.set_num_threads(num_threads)  # loading small weights has set one
    for size in options.sizes or (list(SHAPES) if has_gpu else ["0.8B"]):
        layers = None if has_gpu else 4
        title = f"{size}, random" if has_gpu else f"{size}, random, {layers} layers, fp32"
        show(title, random_model(size, layers, device), 1024 * 1024 if has_gpu else 320 * 320)


def show(name: str, model: Any, max_pixels: int) -> None:
    """Print the rows of one model."""
    for row in rows(name, model, max_pixels):
        print(f"| {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
