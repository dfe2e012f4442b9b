"""The page: `python app.py [--model NAME] [--host ADDRESS] [--port NUMBER]`.

This file puts the page together of its parts. Their handlers are in `pipelines.page`; what those do is in
`pipelines.serving` and `pipelines.present`. A Space serves the module's `demo`, and the model is loaded when the first
visitor comes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.interrupts import end_at_once
from pipelines.leaving import Leaving

if __name__ == "__main__":
    leaving = Leaving()
    end_at_once()  # on Ctrl-C, until the page is there, which ends in peace

from pipelines.host.own_uploads import NAMED_BY, made, own_uploads
from pipelines.host.proxies import no_proxies
from pipelines.types import UserError

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
try:  # this too is read then, and the page puts its examples there
    os.environ[NAMED_BY] = str(made(own_uploads(sys.argv[1:])))
except UserError as error:
    print(error, file=sys.stderr)
    sys.exit(2)

with no_proxies():
    import gradio as gr

from pipelines.host.policy import policy_of
from pipelines.page import compare as page_compare
from pipelines.page import components as parts
from pipelines.page import library as page_library
from pipelines.page import models as page_models
from pipelines.page import takeaway as page_takeaway
from pipelines.page.asking import wire_asking
from pipelines.page.components import AT_ONCE, PRIVATE
from pipelines.page.copying import copying
from pipelines.page.doors import shut_doors
from pipelines.page.host import Host
from pipelines.page.launch import launch
from pipelines.page.outcome import redraw, wire_outcome
from pipelines.page.programs import offer
from pipelines.page.settings import settings_pane, show_costs, wire_settings
from pipelines.page.turns import filling, wire_turns
from pipelines.page.waiting import MAX_WAITING, share_queue
from pipelines.present import header
from pipelines.present.examples import cards, load_examples
from pipelines.serving.model import Model
from pipelines.serving.session import Session
from pipelines.serving.swapping import Swapping, first_loaded

BETWEEN_LOOKS_S = 0.01
"""How often the queue looks for events: every millisecond, Gradio's own, takes 5% of a core while the page rests."""
ANSWERED = "(message) => glassbox.answered(message)"
"""Runs in the browser, which keeps the draft."""


def build(host: Host) -> gr.Blocks:
    """The page of one host."""
    shut_doors()
    started = cards(load_examples(parts.EXAMPLES_FOLDER))
    with gr.Blocks(title="Glassbox", fill_width=True, delete_cache=(3600, 86400)) as page:
        session = gr.State(Session(), delete_callback=host.leave)
        about, turn_over, way, new_chat = parts.top()
        kept = page_library.library()
        with gr.Row(elem_id="panes"):
            pane = parts.chat_pane(started)
            with gr.Column(scale=4, elem_id="evidence-pane"):
                seen, times, words, requests = parts.evidence_pane()
                files = page_takeaway.takeaway(session, host)
        other_side = page_compare.compare_pane()
        settings = settings_pane()
        view = [pane.chat, pane.line, pane.composer, seen, times, pane.pointed]
        ended = wire_asking(host, session, pane, settings.controls, [seen, times])
        changes = wire_outcome(host, session, ended, pane.composer, words, requests)
        turned = wire_turns(host, session, pane, new_chat, view)
        copying(session)
        followers = [seen, words.words, words.heat]
        for changed in turned:
            changed.then(redraw, session, followers, **PRIVATE)
        changes += turned
        for changed in changes:
            changed.then(None, pane.composer, None, js=ANSWERED)
            changed.then(page_takeaway.put_away, None, files, **AT_ONCE)
        kept_settings, settings_shown = wire_settings(page, host.model, settings, new_chat)
        whole = page_library.View(
            session=session,
            composer=pane.composer,
            components=view,
            kept=kept_settings,
            settings_shown=settings_shown,
            system=settings.named("system"),
            followers=followers,
        )
        page_library.wire_library(kept, host, whole, changes)
        kept.here.change(page_takeaway.put_away, None, files, **AT_ONCE)
        pane.chat.example_select(filling(started), [session, pane.composer], pane.composer, **AT_ONCE)

        def told() -> Iterator[tuple[Any, Any]]:
            for far in first_loaded(host.model):
                yield header.header_html(None, far), gr.skip()
            info, may_change = host.model.load().info, host.model.may_change
            yield header.both_html(info, host.policy().told, may_change=may_change)

        page.load(told, None, [about, pane.limits], **PRIVATE)
        swapping = Swapping(host.model, host.machine)
        page_models.wire_models(page, settings.models, swapping, told, [about, pane.limits], way)
        page_compare.wire_compare(
            page, host, session, turn_over, other_side, pane.composer, settings.controls, requests.shown
        )
        show_costs(page, host.model, pane, settings, changes)
        offer(host)
    page.queue(default_concurrency_limit=4, max_size=MAX_WAITING)
    share_queue(page, host.policy)
    page._queue.sleep_when_free = BETWEEN_LOOKS_S
    return page


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until it is ended."""
    return launch(host, demo, arguments)


model = Model()
model.policy = policy_of(False, [])
host = Host.of(model)
demo = build(host)

if __name__ == "__main__":
    leaving.code = main()
    sys.exit(leaving.code)
