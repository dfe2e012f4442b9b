"""The engine beside transformers' `generate`: `make bench-engine`.

Both run in turn, in one process, greedily but where ours is said to draw. What the machine could do at best is computed
from its own measured rates and the bytes that a token reads. Weights of the real shapes are drawn on the device itself,
with `generate` on the same ones; on a CPU, the shipped model and the 0.8B cut to four layers stand for them, and there
`generate` has fp32 weights also where ours are shorter. It needs the repository, torch and transformers (and torchao
for int8).
"""

from __future__ import annotations

import argparse
import copy
import gc
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.pair import NUM_TOKENS, REPEATS, Pair, clip, forget, pair_of, picture, prompt, settings_for, timed
from benchmarks.shapes import SHAPES, random_model
from pipelines.engine import LocalEngine, roofline
from pipelines.engine.presets import GREEDY, THINKING
from pipelines.inputs import MERGE, PATCH_PX, ModelInputs
from pipelines.models import DEMO_FOLDER
from pipelines.types import Picture, Token, WeightFormat

THEIR_TOKENS = 16
"""Of `generate` on a GPU, where its token takes as long as twenty of ours and more."""
VISITORS = 4
VISITOR_TOKENS = 192
ANSWER_TOKENS = 400
CUT_LAYERS = 4
FORMS = "shipped", "fp32", "bf16", "int8"
PAST_TOKENS = 1100
WARM_TURNS = 2
"""On a GPU, where what comes a second time is captured."""
SIDES = (31, 33), (30, 34), (29, 35)
"""Lines and columns of visual tokens, of pictures whose size is new."""
SHORT_REPEATS = 15
"""Of what is over before a machine with other work shows its usual self."""


def visitors_rate(engine: LocalEngine, prompts: list[ModelInputs]) -> float:
    """Tokens a second of all visitors together, prefill included."""
    forget(engine)
    started = time.perf_counter()
    with ThreadPoolExecutor(len(prompts)) as pool:
        replies = list(pool.map(lambda inputs: timed(engine, inputs, VISITOR_TOKENS), prompts))
    return sum(reply.num_tokens for reply in replies) / (time.perf_counter() - started)


def compared(pair: Pair) -> Iterator[str]:
    """Decoding and the first token, ours and theirs in turn, and what the device could do at best."""
    best = roofline.measure(pair.ours.model, pair.ours.scheduler.stack.slots)
    prompts = [prompt(pair, picture(pair, seed), "What is there?") for seed in range(VISITORS)]
    their_tokens = THEIR_TOKENS if pair.is_gpu else NUM_TOKENS
    timed(pair.ours, prompts[0]), timed(pair.theirs, prompts[0], their_tokens)  # for warmth, and on a GPU the graphs
    times = []
    for turn in range(pair.repeats):
        forget(pair.ours)
        inputs = prompts[turn % VISITORS]
        times.append((timed(pair.ours, inputs), timed(pair.theirs, inputs, their_tokens)))
    ours, theirs = (median(both[side].rate for both in times) for side in (0, 1))
    fastest = best.bytes_per_s / (best.weight_bytes + best.state_bytes + best.token_bytes * prompts[0].num_tokens)
    limit = f"{ours / fastest:.0%} of {fastest:.0f}"
    yield f"decode, tok/s | {ours:.1f} | {theirs:.1f} | {ours / theirs:.1f} x | {limit}"
    ours, theirs = (median(both[side].first_s for both in times) for side in (0, 1))
    least = first_token_s(pair.ours.model, best.token_flops, best.flops_per_s, prompts[0])
    limit = f"{ours / least:.1f} x {least * 1000:.1f}"
    title = f"first token, {prompts[0].num_visual_tokens} visual tokens, ms"
    yield f"{title} | {ours * 1000:.0f} | {theirs * 1000:.0f} | {theirs / ours:.1f} x | {limit}"


def drawn(pair: Pair) -> Iterator[str]:
    """Decoding by the sampling that the cards of the models advise, against greedy decoding."""
    inputs = prompt(pair, picture(pair, 0), "What is there?")
    timed(pair.ours, inputs, sampling=THINKING)  # for warmth
    rates = [[timed(pair.ours, inputs, sampling=one).rate for one in (THINKING, GREEDY)] for _ in range(pair.repeats)]
    by_draws, greedy = (median(each) for each in zip(*rates, strict=True))
    yield f"decode of drawn tokens, tok/s | {by_draws:.1f} | {greedy:.1f} (greedy) | {by_draws / greedy:.2f} x | "


def first_token_s(model: Any, token_flops: float, flops_per_s: float, inputs: ModelInputs) -> float:
    """The least that the products of a prompt take: each weight of the text layers and of the tower, for each token."""
    tower = sum(one.numel() for one in model.model.visual.parameters() if one.ndim == 2)
    num_patches = inputs.num_visual_tokens * MERGE**2
    return float((token_flops * inputs.num_tokens + 2 * tower * num_patches) / flops_per_s)


def new_sizes(pair: Pair) -> Iterator[str]:
    """The first token about pictures each of which is of a size that was never seen: the tower is not replayed."""
    times, counts = [], []
    for number, (lines, columns) in enumerate(SIDES):
        shape = lines * PATCH_PX * MERGE, columns * PATCH_PX * MERGE, 3
        rgb = np.random.default_rng(number).integers(0, 256, shape, np.uint8)
        inputs = prompt(pair, Picture("noise", rgb, f"new {number}"), "What is there?")
        times.append(timed(pair.ours, inputs, 8).first_s)
        counts.append(inputs.num_visual_tokens)
    told = f"first token, a picture of a new size, {min(counts)} to {max(counts)} visual tokens, ms"
    yield f"{told} | {median(times) * 1000:.0f} | | | "


def follow_ups(pair: Pair) -> Iterator[str]:
    """The first token of a second question, against that of the first one.

    It comes at once, or when the answer was read again, as the page has it done while nobody asks.
    """
    talk = ("What is there?", "There is nothing but noise.", "And at the left?")
    for kind, media in (("picture", picture(pair, 9)), ("clip", clip(9))):
        asked, following = prompt(pair, media, *talk[:1]), prompt(pair, media, *talk)
        answered = following.shared_with(prompt(pair, media, *talk[:2], "Why?"))
        for _ in range(WARM_TURNS if pair.is_gpu else 0):
            forget(pair.ours)
            timed(pair.ours, asked, 8), timed(pair.ours, following, 8)
        first: list[float] = []
        for when in ("at once", "after a pause"):
            second = []
            for _ in range(pair.repeats):
                forget(pair.ours)
                first.append(timed(pair.ours, asked, 8).first_s)
                if when != "at once":
                    pair.ours.anticipate(answered)
                    pair.ours.scheduler.wait_idle()
                    if pair.is_gpu:  # which may be at work when the host is not
                        torch.cuda.synchronize()
                second.append(timed(pair.ours, following, 8).first_s)
            told = f"first token of a follow-up {when} about a {kind} of {asked.num_visual_tokens} visual tokens, ms"
            ratio = median(first) / median(second)
            yield f"{told} | {median(second) * 1000:.1f} | | {ratio:.1f} x below the first | "


def together(pair: Pair) -> Iterator[str]:
    """Several visitors at once against one alone."""
    prompts = [prompt(pair, picture(pair, seed), "What is there?") for seed in range(VISITORS)]
    one, all_of_them = [], []
    for _ in range(pair.repeats):
        one.append(visitors_rate(pair.ours, prompts[:1]))
        all_of_them.append(visitors_rate(pair.ours, prompts))
    ratio = median(all_of_them) / median(one)
    rates = f"{median(all_of_them):.1f} | {median(one):.1f} (one visitor)"
    yield f"{VISITORS} visitors, tok/s in all | {rates} | {ratio:.1f} x | "


def longest_gap(pair: Pair) -> Iterator[str]:
    """How long a running answer waits while the picture of another visitor is prefilled."""
    forget(pair.ours)
    running = pair.ours.generate(
        prompt(pair, picture(pair, 1), "What is there?"),
        settings_for(ANSWER_TOKENS),
        lambda _work: None,
        threading.Event(),
    )
    stamps: list[float] = []
    other: threading.Thread | None = None
    for step in running:
        if isinstance(step, Token):
            stamps.append(time.perf_counter())
        if len(stamps) == 20 and other is None:
            late = prompt(pair, picture(pair, 2), "What is there?")
            other = threading.Thread(target=timed, args=(pair.ours, late))
            other.start()
    if other is not None:
        other.join()
    gap = max(after - before for before, after in pairwise(stamps[20:]))
    yield f"longest gap of an answer while a picture is prefilled, ms | {gap * 1000:.0f} | | | "


def captured(pair: Pair) -> Iterator[str]:
    """How long the graphs that are made at a start take to capture: steps, draws and a piece of a prompt."""
    pair.ours.roofline()  # a start measures the device as well
    started = time.perf_counter()
    pair.ours.warm_up()
    torch.cuda.synchronize()
    graphs = pair.ours.scheduler.stack.graphs
    assert graphs is not None
    num_graphs = max(graphs.num_captured, 1)
    each = (time.perf_counter() - started) / num_graphs
    yield f"capture, s for each of {num_graphs} graphs | {each:.2f} | | | "


def replayed(pair: Pair) -> Iterator[str]:
    """The captured step by itself, nothing between two of them, for a past of some length."""
    scheduler, stack = pair.ours.scheduler, pair.ours.scheduler.stack
    assert stack.graphs is not None
    best = roofline.measure(pair.ours.model, stack.slots)
    for rows in (1, 2, 4, 8):
        if rows >= stack.slots.rows:
            break
        given = [[1] * rows, [PAST_TOKENS] * rows, [PAST_TOKENS] * rows]
        step = partial(stack.graphs.step, given, PAST_TOKENS + 1)
        # in the engine's thread: what it made there, nobody else may write to
        step_s = scheduler.between(partial(roofline.best_s, step, stack.device))
        row_bytes = best.state_bytes + best.token_bytes * PAST_TOKENS
        least_s = (best.weight_bytes + rows * row_bytes) / best.bytes_per_s
        told = f"the step by itself, {rows} row{'s' * (rows > 1)}, {PAST_TOKENS} tokens held, ms"
        yield f"{told} | {step_s * 1000:.2f} | | | {least_s / step_s:.0%} of {least_s * 1000:.2f}"


def show(pair: Pair, *measures: Callable[[Pair], Iterator[str]]) -> None:
    """Print the rows of one pair."""
    for measure in measures:
        for row in measure(pair):
            print(f"| {pair.name} | {row} |", flush=True)


def on_gpu(sizes: list[str], device: torch.device) -> None:
    """Random weights of the real shapes, in bf16."""
    for size in sizes:
        model = random_model(size, None, device, torch.bfloat16)
        pair = pair_of(f"{size}, random", model, model, 1024 * 1024)
        show(pair, captured, replayed, compared, new_sizes, drawn, follow_ups, together, longest_gap)
        del model, pair
        gc.collect()  # an engine and its parts know each other
        torch.cuda.empty_cache()


def on_cpu(num_layers: int | None, forms: Sequence[str] = FORMS) -> None:
    """The shipped model, and the 0.8B cut to so many layers: fp32 against fp32, then ours in bf16 and in int8."""
    if "shipped" in forms:
        num_threads = torch.get_num_threads()
        demo = LocalEngine.load(DEMO_FOLDER, "demo").model  # loading small weights sets one thread
        shipped = replace(pair_of("shipped, fp32, 1 thread", demo, demo, 192 * 192), repeats=SHORT_REPEATS)
        show(shipped, compared, follow_ups, together)
        torch.set_num_threads(num_threads)
    peer = random_model("0.8B", num_layers, torch.device("cpu"), torch.float32)
    title = f"0.8B, random, {num_layers} layers" if num_layers else "0.8B, random"
    for form in FORMS[1:]:
        if form not in forms:
            continue
        if form == "fp32":  # of its own: where our engine packs weights, `generate` would multiply by these too
            model = copy.deepcopy(peer)
        else:
            model = random_model("0.8B", num_layers, torch.device("cpu"), torch.bfloat16)
        weights: WeightFormat = "int8" if form == "int8" else "full"
        pair = pair_of(f"{title}, {form}", model, peer, 1024 * 1024, weights)
        show(pair, compared, follow_ups, *((together,) if form == "bf16" else ()))


def processor() -> str:
    """The name of this machine's processor, where torch knows it."""
    return str(torch.cpu.get_capabilities().get("cpu_name", platform.machine()))


def main() -> None:
    """Measure every model that the device is for."""
    parser = argparse.ArgumentParser(description="Measure the engine beside transformers' generate.")
    parser.add_argument(
        "--sizes", nargs="*", choices=list(SHAPES), default=list(SHAPES), help="on a GPU (default: all)"
    )
    parser.add_argument(
        "--whole", action="store_true", help=f"on a CPU, the 0.8B with all of its layers, and not {CUT_LAYERS}"
    )
    parser.add_argument(
        "--forms",
        nargs="*",
        choices=FORMS,
        default=FORMS,
        help="on a CPU, the shipped model, and the formats of the 0.8B (default: all)",
    )
    options = parser.parse_args()
    is_gpu = torch.cuda.is_available()
    name = torch.cuda.get_device_name() if is_gpu else f"{processor()}, {torch.get_num_threads()} threads"
    medians = f"medians of {REPEATS} ({SHORT_REPEATS} of the shipped model)"
    theirs = f" ({THEIR_TOKENS} of generate's)" if is_gpu else ""
    print(f"{name}, torch {torch.__version__}, {medians}, {NUM_TOKENS} tokens a reply{theirs}\n")
    print("| model | what | ours | generate | ratio | of the limit |\n|---|---|---|---|---|---|")
    if is_gpu:
        on_gpu(options.sizes, torch.device("cuda"))
    else:
        on_cpu(None if options.whole else CUT_LAYERS, options.forms)


if __name__ == "__main__":
    main()
