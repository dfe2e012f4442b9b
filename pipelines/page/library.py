"""The sidebar of kept conversations: its layout and its handlers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from pipelines.archive import Archive
from pipelines.page.components import AT_ONCE, PRIVATE, html, script
from pipelines.page.host import Host, uploads
from pipelines.page.outcome import redraw, shown
from pipelines.present.listing import Pressed, Remembered
from pipelines.serving.keeping import Done, Keeping, save
from pipelines.serving.session import Session

CLICK_EXPORT = "() => setTimeout(() => document.querySelector('#export-file')?.click(), 100)"


@dataclass(frozen=True)
class View:
    """What shows a conversation: the page's session and the components that `outcome.shown` gives values for.

    `system` is where the system prompt of the next question stands: of a conversation that is opened, its own. `kept`
    are the settings that the visitor's browser keeps, and `settings_shown` is when they are there. What takes longer to
    show of a conversation that is opened follows in the `followers`, which `outcome.redraw` gives values for.
    """

    session: gr.State
    composer: gr.MultimodalTextbox
    components: Sequence[Any]
    kept: gr.BrowserState
    settings_shown: gr.events.Dependency
    system: Sequence[Any]
    followers: Sequence[Any]


@dataclass(frozen=True)
class Library:
    """The parts of the sidebar; `here` tells the browser which conversation is open."""

    sidebar: gr.Sidebar
    search: gr.Textbox
    listing: gr.HTML
    upload: gr.UploadButton
    download: gr.DownloadButton
    here: gr.Textbox


def library() -> Library:
    """The sidebar, out of sight until it is known whether conversations are kept."""
    hidden: dict[str, Any] = {"position": "left", "open": False, "visible": False}
    with gr.Sidebar(label="Conversations", width=340, elem_id="library", **hidden) as sidebar:
        search = gr.Textbox(label="Search", placeholder="Words of a question or an answer", elem_id="search")
        listing = html("", "kept", js_on_load=script("library.js"))
        upload = gr.UploadButton("Import", file_types=[".zip"], size="sm", elem_id="import")
    download = gr.DownloadButton(visible="hidden", elem_id="export-file")
    here = gr.Textbox(visible="hidden", elem_id="here")
    return Library(sidebar, search, listing, upload, download, here)


def wire_library(parts: Library, host: Host, view: View, changes: Sequence[gr.events.Dependency]) -> None:
    """Let the sidebar open, rename, export and delete conversations, and follow what `changes` the open one."""
    archive = host.archive
    keeping = Keeping(archive, host.leave_for_another, uploads)

    def listed(search: str | None, session: Session) -> tuple[Any, ...]:
        """The list and the open conversation's id, as both are now; `search` is None until the sidebar is there."""
        if not archive.is_on:
            return gr.skip(), ""
        here = gr.skip() if session.is_closed else session.name  # another took its place meanwhile
        return keeping.listed(search or "", session.name), here

    def act(
        search: str, session: Session, message: dict[str, Any], settings: object, pressed: gr.SelectData
    ) -> tuple[Any, ...]:
        wanted, done = Pressed.of(pressed.value), Done(session)
        if wanted is not None and archive.is_on:
            own = settings.get("system") if isinstance(settings, Mapping) else ""
            done = keeping.do(wanted, session, message, str(own or ""))
        file = gr.DownloadButton(value=done.file) if done.file else gr.skip()
        return *told(view, done), file, *listed(search, done.session)

    def take_in(path: str, search: str, session: Session, message: dict[str, Any]) -> tuple[Any, ...]:
        done = keeping.take_in(path, session, message) if archive.is_on else Done(session)
        return *told(view, done), *listed(search, done.session)

    def restore(text: str, session: Session) -> tuple[Any, ...]:
        """Show what this tab held before it was loaded again."""
        done = keeping.restore(Remembered.of_json(text), session)
        return *told(view, done), gr.Sidebar(visible=archive.is_on), *listed("", done.session)

    remembered = gr.Textbox(visible="hidden")
    outputs = [parts.listing, parts.here]
    for change in changes:
        change.then(listed, [parts.search, view.session], outputs, **AT_ONCE)
    view.settings_shown.then(  # a conversation's own system prompt takes the place of the one that is kept
        restore,
        [remembered, view.session],
        [view.session, *view.components, *view.system, parts.sidebar, *outputs],
        js="(text, session) => [glassbox.remembered(), session]",
        **PRIVATE,
    )
    # what may warn a person goes through the queue: Gradio shows warnings from there alone
    parts.listing.select(
        act,
        [parts.search, view.session, view.composer, view.kept],
        [view.session, *view.components, *view.system, parts.download, *outputs],
        **PRIVATE,
    )
    parts.download.change(None, None, None, js=CLICK_EXPORT)
    parts.upload.upload(
        take_in,
        [parts.upload, parts.search, view.session, view.composer],
        [view.session, *view.components, *view.system, *outputs],
        **PRIVATE,
    )
    parts.search.change(listed, [parts.search, view.session], outputs, **AT_ONCE)
    parts.here.change(redraw, view.session, list(view.followers), **PRIVATE)
    parts.here.change(None, parts.here, None, js="(id) => glassbox.remember(id)")


def keep(archive: Archive, session: Session) -> None:
    """Keep the conversation as it is now; a person is told what came in the way, and goes on."""
    if warning := save(archive, session):
        gr.Warning(warning)


def told(view: View, done: Done) -> tuple[Any, ...]:
    """The session, the page and the system prompt after something was done; a person is told what went wrong."""
    for warning in done.warnings:
        gr.Warning(warning)
    system = gr.skip() if done.system is None else done.system
    if not done.is_shown:
        return *(gr.skip() for _ in (view.session, *view.components)), system
    return done.session, *shown(done.session), system
