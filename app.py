"""The page: `python app.py [--model NAME] [--host ADDRESS] [--port NUMBER]`.

Constants, handlers, wiring and launch; what the handlers do is in `pipelines.present`. On a Space the module's `demo`
is the page, and the model is loaded when the first visitor comes.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import astuple
from functools import wraps
from hmac import compare_digest
from pathlib import Path
from typing import Any, cast

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio as gr
from gradio import processing_utils, routes, utils
from gradio.context import LocalContext
from starlette.middleware import Middleware

from pipelines import page_components as parts
from pipelines import page_library, page_models, page_takeaway
from pipelines.archive import Archive, data_folder
from pipelines.conversation import Draft
from pipelines.host import Gate, Policy, Turns, Visitor
from pipelines.host.ending import Ending
from pipelines.host.gate import Unshared, address_of
from pipelines.host.policy import policy_of
from pipelines.host.turns import ENDING
from pipelines.models import Running
from pipelines.options import add_model, positive
from pipelines.page_components import AT_ONCE, PRIVATE
from pipelines.present import evidence, header, looking_back, past, status, waterfall, word_by_word
from pipelines.present.asking import ask_in_turn
from pipelines.present.choices import Choices
from pipelines.present.compression import StreamCompression
from pipelines.present.examples import Example, chosen, load_examples
from pipelines.present.headers import SecurityHeaders
from pipelines.present.metrics import Metrics
from pipelines.present.model import Model
from pipelines.present.pointing import point, pointed_html, pointing_of
from pipelines.present.preview import preview_html
from pipelines.present.session import Session, composed, draft_of, uploaded
from pipelines.present.shelf import Shelf
from pipelines.present.swapping import Swapping
from pipelines.programs.endpoints import Endpoint, Endpoints, signature_of
from pipelines.programs.tools import Tools
from pipelines.run import seen_pixels
from pipelines.types import Roofline, UserError

LOGGER = logging.getLogger(__name__)
EXAMPLES_FOLDER = Path(__file__).resolve().parent / "assets" / "examples"
MAX_CARDS = 6
MAX_ASKING = 32
"""Visitors who are answered or wait; the engine says whose turn it is."""
USER_ERROR = 2
CHECKED = """(told) => {
  const button = document.querySelector(`#evidence [data-check="${Number(told?.number)}"]`);
  if (!button) return;
  button.textContent = told.told;
  button.closest(".gb-chip").classList.toggle("gb-doubtful", told.is_doubtful);
}"""
"""Runs in the browser: what a check came to is written on its mark."""
PASSWORD = "GLASSBOX_PASSWORD"
"""In the environment, as the arguments of a program are seen by everyone on its machine."""
ASKED = "(...values) => { glassbox.asked(); return values; }"
ANSWERED = "(message) => glassbox.answered(message)"
PATHS_OF = "(message) => glassbox.keepDraft(message)"
"""Run in the browser, which keeps the draft: what the composer holds changes with every key, and its files seldom."""


async def refuse_url(url: str, *_: object, **__: object) -> str:
    """Stand in for Gradio's download of whatever URL a client names as its file."""
    raise gr.Error(f"{url[:80]} cannot be read: add the picture or the clip itself.", print_exception=False)


processing_utils.async_ssrf_protected_download = refuse_url
vars(routes)["CustomCORSMiddleware"] = Unshared  # a host in the network would let every other site read


def uploads() -> Path:
    """Where uploads lie."""
    return Path(utils.get_upload_folder())


def visitor() -> Visitor:
    """Who sent the request that is being handled."""
    request = LocalContext.request.get(None)
    scope = request.request.scope if request is not None and request.request is not None else {"headers": []}
    return Visitor(str(getattr(request, "session_hash", "")), address_of(scope, model.policy.trusts_proxy))


def begin(message: dict[str, Any], session: Session) -> tuple[Any, ...]:
    """Put the question into the chat at once, and turn Send into Stop."""
    if session.is_running:
        return gr.skip(), gr.skip(), gr.skip()
    try:
        session.begin(draft_of(message, uploads()))
    except UserError:  # told by the handler that answers, which meets it again
        return gr.skip(), gr.skip(), gr.skip()
    return parts.asking_composer(Draft("")), session.shown(), status.doing(None, 0.0)


def answering(model: Model) -> Callable[..., Iterator[tuple[list[Any], str]]]:
    """The handler that answers the question on its way, for one model."""

    def answer_pending(session: Session, *controls: Any) -> Iterator[tuple[list[Any], str]]:
        for update in ask_in_turn(session, Choices(*controls).settings(), model.answer, turns, visitor()):
            yield update.chat, update.status

    return answer_pending


def asking(model: Model) -> Callable[..., Iterator[tuple[list[Any], str]]]:
    """The handler that takes a question on its way, where that was not done yet, and answers it."""

    def ask_question(message: dict[str, Any], session: Session, *controls: Any) -> Iterator[tuple[list[Any], str]]:
        """Answer about pictures and clips: the chat and the status line, as they grow."""

        def take() -> None:
            session.begin(draft_of(message, uploads()))

        settings = Choices(*controls).settings()
        for update in ask_in_turn(session, settings, model.answer, turns, visitor(), take):
            yield update.chat, update.status

    return ask_question


def finishing(model: Model, archive: Archive) -> Callable[[Session], tuple[Any, ...]]:
    """The handler that follows an answer."""

    def finish(session: Session) -> tuple[Any, ...]:
        page_library.keep(archive, session)
        return drawn(session, model.roofline)

    return finish


def drawn(session: Session, roofline: Callable[[], Roofline | None] = lambda: None) -> tuple[Any, ...]:
    """Draw the evidence and the times, and give the composer back, with the question in it where it failed."""
    seen, times = session.drawn or (evidence.EMPTY, waterfall.EMPTY)
    result = session.result
    if result is not None:
        about, shelf = session.rounds[-1].draft.about, Shelf(uploads())
        given = evidence.Given(session.num_new_media, about, session.files, shelf, seen_pixels)
        seen = evidence.evidence_html(result, given)
        session.result = None  # it holds every frame, and the page needs them no more
    record = session.take_record()
    if record is not None:
        times = waterfall.waterfall_html(record, roofline(), result)
    if result is not None or record is not None:
        session.drawn = seen, times
    return parts.ready_composer(session.take_returned()), seen, times, pointed_html(session.pointed)


def show_words(session: Session) -> tuple[str, str]:
    """The last reply word by word, and no heat map yet."""
    last = session.answered
    return word_by_word.words_html(last.result) if last else word_by_word.EMPTY, ""


def wire_words(model: Model, session: gr.State, words: parts.WordsPane) -> None:
    """Show where the model looked at a word that is pointed at, and check the marks that are to be checked."""

    def look_back(asking: Session, word: gr.SelectData) -> str:
        return looking_back.where_it_looked(asking, word.index, model.load())

    def check(asking: Session, mark: gr.SelectData) -> looking_back.Checked:
        return looking_back.checked(asking, mark.index, model.load())

    limits: dict[str, Any] = {**PRIVATE, "concurrency_limit": MAX_ASKING}
    words.words.select(look_back, session, words.heat, trigger_mode="always_last", **limits)
    checks = words.check.select(check, session, words.checked, trigger_mode="multiple", **limits)
    checks.then(None, words.checked, None, js=CHECKED)


def show_past(session: Session) -> tuple[Any, ...]:
    """Show the last requests, and offer them to be compared."""
    choices = past.labels(session.history)
    return past.history_html(session.history), gr.Dropdown(choices), gr.Dropdown(choices)


def compare(session: Session, one: int | None, other: int | None) -> str:
    """Two requests side by side."""
    return past.pair_html(session.history, one, other)


def stop(session: Session) -> None:
    """Stop the answer that runs; what is there of it stays."""
    session.stop.set()


def answer_now(session: Session) -> None:
    """End the reasoning that runs, and have the answer."""
    session.hurry.set()


def resume(session: Session) -> tuple[Any, ...]:
    """Let the reply that was cut off go on."""
    session.resume()
    return begun_again(session)


def retry(session: Session) -> tuple[Any, ...]:
    """Ask the last question again, with the settings as they are now."""
    session.retry()
    return begun_again(session)


def begun_again(session: Session) -> tuple[Any, ...]:
    """Show that the question is on its way again; what is in the composer stays there."""
    if session.pending is None:
        return gr.skip(), gr.skip(), gr.skip()
    return parts.asking_composer(), session.shown(), status.doing(None, 0.0)


def undo(session: Session) -> tuple[Any, ...]:
    """Take the last question back into the composer."""
    session.undo()
    return shown(session)


def shown(session: Session) -> tuple[Any, ...]:
    """All that shows a conversation in which nothing is on its way."""
    return session.shown(), status.line(), *drawn(session)


def edit(session: Session, message: dict[str, Any], pencil: gr.SelectData) -> tuple[Any, ...]:
    """Put an earlier question into the composer, to replace it by sending."""
    session.edit(int(pencil.index), draft_of(message, uploads()))
    if session.returned is None:
        return gr.skip(), gr.skip()
    return parts.ready_composer(session.take_returned()), status.editing(session.editing or 0)


def leave_edit(session: Session) -> tuple[Any, ...]:
    """Leave the earlier question as it was, and give back what was in the composer."""
    session.leave_edit()
    return parts.ready_composer(session.take_returned() or Draft("")), status.line()


def point_at(session: Session, marked: gr.SelectData) -> tuple[Any, ...]:
    """Make the next question about a part of what is shown."""
    try:
        session.pointed = point(pointing_of(marked.value, len(session.files)), session.files, Shelf(uploads()))
    except UserError as error:
        return pointed_html(session.pointed), status.failed(str(error))
    return pointed_html(session.pointed), gr.skip()


def point_at_nothing(session: Session) -> str:
    """Make the next question about all of it again."""
    session.pointed = None
    return pointed_html(None)


def leaving(model: Model) -> Callable[[Session], None]:
    """What happens when a visitor has left."""

    def leave(session: Session) -> None:
        session.close()
        model.forget(session.name)

    return leave


def starting_anew(model: Model) -> Callable[[Session], tuple[Any, ...]]:
    """The handler that leaves the conversation and begins an empty one."""
    leave = leaving(model)

    def start_anew(session: Session) -> tuple[Any, ...]:
        leave(session)
        fresh = Session(returned=Draft(""), history=session.history)
        return fresh, *shown(fresh)

    return start_anew


def filling(examples: Sequence[Example]) -> Callable[..., dict[str, Any]]:
    """The handler that puts a chosen example into the composer without sending it."""

    def fill(card: gr.SelectData) -> dict[str, Any]:
        example = examples[int(card.index)]
        return dict(composed(Draft(example.question, (example.path,))))

    return fill


def build(model: Model, archive: Archive) -> gr.Blocks:
    """The page for one model; conversations are kept in the archive where it is on."""
    examples = chosen(load_examples(EXAMPLES_FOLDER), MAX_CARDS)
    with gr.Blocks(title="Glassbox", fill_width=True, delete_cache=(3600, 86400)) as page:
        session = gr.State(Session(), time_to_live=86400, delete_callback=leaving(model))
        about, new_chat = parts.top()
        kept = page_library.library()
        with gr.Row(elem_id="panes"):
            pane = parts.chat_pane(examples)
            chat, line, composer = pane.chat, pane.line, pane.composer
            with gr.Column(scale=4, elem_id="evidence-pane"):
                seen, times, words, requests = parts.evidence_pane()
                page_takeaway.takeaway(session, uploads)
        controls, reset, sidebar = parts.settings()
        with sidebar:
            choice = page_models.model_choice()

        ask_question, answer_pending = asking(model), answering(model)
        begun = composer.submit(begin, [composer, session], [composer, chat, line], js=ASKED, **AT_ONCE)
        begun.then(lambda asking: pointed_html(asking.pointed), session, pane.pointed, **AT_ONCE)
        limits: dict[str, Any] = {**PRIVATE, "concurrency_id": "ask", "concurrency_limit": MAX_ASKING}
        answered = [
            begun.then(
                ask_question,
                [composer, session, *controls],
                [chat, line],
                trigger_mode="once",
                **limits,
            )
        ]
        for trigger, again in ((pane.go_on.click, resume), (chat.retry, retry)):
            begun = trigger(again, session, [composer, chat, line], **AT_ONCE)
            answered.append(begun.then(answer_pending, [session, *controls], [chat, line], **limits))
        wire_words(model, session, words)
        view = [chat, line, composer, seen, times, pane.pointed]
        changes = [ended.then(finishing(model, archive), session, view[2:], **PRIVATE) for ended in answered]
        for finished in changes:
            finished.then(show_past, session, requests.shown, **AT_ONCE)
            finished.then(show_words, session, [words.words, words.heat], **AT_ONCE)
        changes += [
            chat.undo(undo, session, view, **AT_ONCE),
            new_chat.click(starting_anew(model), session, [session, *view], **AT_ONCE),
        ]
        for changed in changes:
            changed.then(None, composer, None, js=ANSWERED)
        whole = page_library.View(session, view, shown, leaving(model), uploads)
        page_library.wire_library(page, kept, archive, whole, changes)
        pane.pencil.select(edit, [session, composer], [composer, line], **AT_ONCE)
        pane.leave_edit.click(leave_edit, session, [composer, line], **AT_ONCE)
        pane.answer_now.click(answer_now, session, None, **AT_ONCE)
        pane.pointed.select(point_at, session, [pane.pointed, line], **AT_ONCE)
        pane.pointed.click(point_at_nothing, session, pane.pointed, **AT_ONCE)
        composer.stop(stop, session, None, **AT_ONCE)
        chat.example_select(filling(examples), None, composer, **AT_ONCE)

        def told() -> tuple[str, str]:
            return header.both_html(model.load().info, model.policy.told)

        page.load(told, None, [about, pane.limits], **PRIVATE)
        page_models.wire_models(page, choice, Swapping(model), told, [about, pane.limits])
        offer(Endpoints(Tools(model), uploads))
        gr.on([one.input for one in requests.pair], compare, [session, *requests.pair], requests.compared, **AT_ONCE)
        keep_choices(page, controls, reset)
        show_costs(model, composer, controls, pane.costs)
    page.queue(default_concurrency_limit=4, max_size=MAX_ASKING)
    return page


def show_costs(model: Model, composer: gr.MultimodalTextbox, controls: list[Any], costs: gr.HTML) -> None:
    """Tell what the files in the composer will cost, as soon as these or the settings change."""
    paths = gr.Textbox("[]", visible="hidden", elem_id="paths")

    def foretell(names: str, *values: Any) -> str:
        try:
            files = uploaded(json.loads(names), uploads())
            return preview_html(files, Choices(*values).settings(), model.foresee) if files else ""
        except (UserError, ValueError, TypeError):  # only a program sends such; asking tells it what is wrong
            return ""

    composer.change(None, composer, paths, js=PATHS_OF, **AT_ONCE)
    gr.on(
        [paths.change, *(control.change for control in controls)],
        foretell,
        [paths, *controls],
        costs,
        concurrency_limit=2,
        trigger_mode="always_last",
        **PRIVATE,
    )


def offer(endpoints: Endpoints) -> None:
    """Open the tools to programs."""
    for endpoint in endpoints.all():
        gr.api(telling(endpoint), api_name=endpoint.__name__, concurrency_id="ask", concurrency_limit=MAX_ASKING)


def telling(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with what a program's author can put right told as an error of the page's framework."""

    @wraps(endpoint)
    def told(*values: object) -> Iterator[object]:
        try:
            with turns.place(visitor()) as turn:
                for _ in turns.wait(turn):
                    yield None
                running = cast(Generator[object, None, None], endpoint(*values))
                with closing(running) as results:  # else the engine would go on for nobody
                    for value in results:
                        if turns.is_ending:
                            raise UserError(ENDING)
                        yield value
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception:
            LOGGER.exception("a program's request failed")
            raise gr.Error(status.SERVER_FAULT, print_exception=False) from None

    vars(told)["__signature__"] = signature_of(endpoint)
    return told


def keep_choices(page: gr.Blocks, controls: list[Any], reset: gr.Button) -> None:
    """Keep the settings in the visitor's browser, and reset them on demand."""
    start = astuple(Choices())
    kept = gr.BrowserState(start, storage_key="glassbox-settings", secret="glassbox")
    # a browser may still hold what an older page with other settings left there
    page.load(lambda values: tuple(values) if len(values) == len(start) else start, kept, controls, **AT_ONCE)
    gr.on([control.change for control in controls], lambda *values: values, controls, kept, **AT_ONCE)
    reset.click(lambda: start, None, controls, **AT_ONCE)


def serve(page: gr.Blocks, host: str = "127.0.0.1", port: int = 7860) -> str:
    """Begin to serve the page, and return its address."""
    page.delete_cache = model.policy.sweep
    turns.max_per_address = model.policy.max_per_address
    password = os.environ.get(PASSWORD)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        theme=parts.theme(),
        css_paths=parts.STYLE,
        head=parts.head(),
        max_file_size=model.policy.max_file_bytes,
        auth=(lambda _name, given: compare_digest(given.encode(), password.encode())) if password else None,
        auth_message="Any name, and the password of this host." if password else None,
        allowed_paths=[str(EXAMPLES_FOLDER)],
        app_kwargs={"middleware": MIDDLEWARE},
        footer_links=[],
        strict_cors=True,
        ssr_mode=False,
        enable_monitoring=False,
        run_history=False,
        share=False,
    )
    return str(address)


def policy() -> Policy:
    """The limits of this host, which are known once it starts."""
    return model.policy


MIDDLEWARE = [
    Middleware(SecurityHeaders),
    Middleware(StreamCompression),
    Middleware(Gate, policy=policy, uploads=uploads),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Load the model, serve the page and print its address."""
    parser = argparse.ArgumentParser(description="Ask Qwen3.5 about pictures and clips, and see why it says so.")
    name = os.environ.get("GLASSBOX_MODEL", "demo")
    add_model(parser, name)
    parser.add_argument(
        "--replicas", type=positive, default=1, metavar="N", help="engines side by side, one on each GPU"
    )
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")  # a Space sets it
    parser.add_argument("--host", default=host, help="address to listen on (default: this machine only)")
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--warm-up", action="store_true", help="on a GPU, capture its graphs before the first question")
    parser.add_argument(
        "--data",
        help="folder where conversations are kept, for everyone who reaches the page, or none (default: your own data "
        "folder where only this machine can reach the page, else none)",
    )
    parser.add_argument("--public", action="store_true", help="for strangers: lower limits, nothing kept")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="a name of this machine")
    parser.add_argument("--behind-proxy", action="store_true", help="visitors are told apart by X-Forwarded-For")
    parser.add_argument("--metrics-port", type=int, metavar="PORT", help="also serve /metrics for Prometheus there")
    options = parser.parse_args(arguments)
    model.policy = policy_of(options.public, options.allow_host, is_proxied=options.behind_proxy)
    model.name = options.model
    model.running = Running(
        options.engine, options.weights, options.warm_up, options.base_url, options.timeout, options.replicas
    )
    try:
        if (folder := data_folder("none" if model.policy.is_public else options.data, options.host)) is not None:
            archive.open(folder)
        model.load()
        if options.metrics_port is not None:
            model.metrics = Metrics()
            model.metrics.serve(options.host, options.metrics_port)
        print(f"Glassbox is on {serve(demo, options.host, options.port)}", flush=True)
    except UserError as error:
        print(error, file=sys.stderr)
        return USER_ERROR
    except OSError:  # Gradio's own words speak of its arguments
        print(f"Port {options.port} of {options.host} is not free: choose another with --port.", file=sys.stderr)
        return USER_ERROR
    ending = Ending()
    ending.listen()
    ending.wait(turns)
    demo.close(verbose=False)
    return 0


model = Model()
model.policy = policy_of(False, [])
turns = Turns(model.policy.max_per_address)
archive = Archive()
demo = build(model, archive)

if __name__ == "__main__":
    sys.exit(main())
