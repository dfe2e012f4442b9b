"""Train the demo model from nothing: `python -m pipelines.demo.train`.

On a GPU one process learns, and others draw its lessons ahead of it. Without one there are two processes of one thread
each, which draw and learn. The state is saved now and then in `--out`; the same command goes on from there after an
interruption, and on a CPU ends at the same weights as a run that was never stopped. When the last step is done, or a
GPU's run is interrupted, the checkpoint is written to `--to`. `--from` begins with the weights of a checkpoint instead
of with nothing, the optimiser afresh: so more steps can be added later to what was shipped.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

from pipelines.demo.course import STAGES, Amounts, Course, Stage
from pipelines.demo.drawers import Drawers, course_of, lessons_of
from pipelines.demo.export import FOLDER, export
from pipelines.demo.learner import Learner
from pipelines.demo.plan import GPU_STEPS, OUT, RATES, SEED, SHARES, STEPS, Plan
from pipelines.demo.runs import Run, Way
from pipelines.demo.sheets import Sheet, lay_out
from pipelines.demo.tokenizer import Encoder, build_tokenizer


def estimate_s(plan: Plan, rank: int) -> dict[Stage, float]:
    """Seconds that each stage will take on this machine, from a few steps of each on a model that is thrown away."""
    encoder = Encoder(build_tokenizer())
    course, learner = Course(encoder, plan.seed, plan.amounts, plan.start is None), Learner(encoder, plan.seed)
    estimates: dict[Stage, float] = {}
    started = time.monotonic()
    for stage, length in zip(STAGES, plan.steps, strict=True):
        if not length:
            continue
        middle = length // 2 // 6 * 6
        for step in range(middle - 1, middle + 6):
            started = started if step > middle else time.monotonic()
            lessons = course.lessons(stage, max(0, step), step / length, rank)
            learner.learn((lay_out(encoder, [lesson]) for lesson in lessons), 0.0)
        estimates[stage] = (time.monotonic() - started) / 6 * length
    return estimates


def estimate_drawn_s(plan: Plan, device: torch.device) -> dict[Stage, float]:
    """Seconds that each stage will take on a device that others draw for, if they keep up with it."""
    course = course_of(plan)
    learner = Learner(course.encoder, plan.seed, device)
    estimates: dict[Stage, float] = {}
    for stage, first in plan.beginnings:
        length = plan.steps[STAGES.index(stage)]
        step = first + length // 2
        piece, layout = lay_out(course.encoder, lessons_of(course, plan, step, plan.progress(step))).pack()
        sheet = Sheet.unpack(piece.to(device), layout)
        learner.learn([sheet], 0.0).loss.item()
        started = time.monotonic()
        for _ in range(5):
            learner.learn([sheet], 0.0)
        learner.learn([sheet], 0.0).loss.item()
        estimates[stage] = (time.monotonic() - started) / 6 * length
    return estimates


def tell(estimates: dict[Stage, float]) -> None:
    """Say how long a run will take."""
    parts = ", ".join(f"{stage} {seconds / 60:.0f}" for stage, seconds in estimates.items())
    print(f"A whole run takes about {sum(estimates.values()) / 60:.0f} minutes here ({parts}).", file=sys.stderr)


def main() -> None:
    """Read the options and start the processes."""
    parser = argparse.ArgumentParser(description="Train the demo model.")
    parser.add_argument("--steps", type=int, nargs=3, metavar=("SEE", "READ", "ANSWER"))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the run's state")
    parser.add_argument("--to", type=Path, default=FOLDER, help="folder of the checkpoint, written at the end")
    parser.add_argument("--processes", type=int, default=2, help="how many learn, on a CPU")
    parser.add_argument("--from", dest="start", type=Path, help="a checkpoint to go on from instead of from nothing")
    parser.add_argument("--rate", type=float, default=RATES["answer"], help="highest learning rate of the ANSWER steps")
    parser.add_argument("--pictures", type=int, default=Amounts.pictures, help="in each share of an ANSWER step")
    parser.add_argument("--clips", type=int, default=Amounts.clips, help="in each share of an ANSWER step")
    parser.add_argument("--specials", type=int, default=Amounts.specials, help="parts, pairs and others in each share")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, cuda:0")
    parser.add_argument("--shares", type=int, default=SHARES, help="how many shares a step has, on a GPU")
    parser.add_argument("--drawers", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="on a GPU, who draw")
    parser.add_argument("--minutes", type=float, help="on a GPU, when to end: as many ANSWER steps as fit")
    options = parser.parse_args()
    device = torch.device(options.device)
    see, read, answer = options.steps or (GPU_STEPS if device.type == "cuda" else STEPS)
    amounts = Amounts(pictures=options.pictures, clips=options.clips, specials=options.specials)
    plan = Plan((see, read, answer), options.seed, options.out, amounts, start=options.start, answer_rate=options.rate)
    if device.type == "cuda":
        _learn_on_gpu(replace(plan, shares=options.shares, minutes=options.minutes), device, options.drawers)
    else:
        _learn_on_cpu(plan, options.processes)
    export(plan.state_file, options.to)
    print(f"The checkpoint is in {options.to}.", file=sys.stderr)


def _learn_on_gpu(plan: Plan, device: torch.device, num_drawers: int) -> None:
    """Learn in this process, while others draw; an interruption is an early end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_float32_matmul_precision("high")
    began_at = time.monotonic()
    if not plan.minutes:
        tell(estimate_drawn_s(plan, device))
    drawers = Drawers(plan, num_drawers, device, _steps_done(plan))
    run = Run(plan, Way(device=device, drawers=drawers, began_at=began_at))
    with suppress(KeyboardInterrupt):
        run.go()
    drawers.close()
    run.save()
    print(f"Trained {run.told()}", file=sys.stderr)


def _steps_done(plan: Plan) -> int:
    if not plan.state_file.exists():
        return 0
    return int(torch.load(plan.state_file, weights_only=True, map_location="cpu")["step"])


def _learn_on_cpu(plan: Plan, processes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OMP_NUM_THREADS"] = "1"
        arguments = (processes, plan, Path(folder) / "rendezvous")
        spawn(_work, arguments, nprocs=processes)  # type: ignore[no-untyped-call]


def _work(rank: int, processes: int, plan: Plan, rendezvous: Path) -> None:
    # A worker is told by SIGINT that the command was killed, and a background job starts out deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=rendezvous.absolute().as_uri(), rank=rank, world_size=processes, timeout=timedelta(hours=2)
    )
    estimates = estimate_s(plan, rank)
    if rank == 0:
        tell(estimates)
    run = Run(plan, Way(rank))
    run.go()
    if rank == 0:
        print(f"Trained {run.told()}", file=sys.stderr)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
