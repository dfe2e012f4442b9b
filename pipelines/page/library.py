"""The sidebar of kept conversations: its layout and its handlers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipelines.archive import Archive, export, import_file
from pipelines.conversation import Draft
from pipelines.page.components import AT_ONCE, PRIVATE, html, script
from pipelines.present.choices import Choices
from pipelines.present.composer import draft_of, uploaded
from pipelines.present.listing import Pressed, Remembered, listing_html
from pipelines.serving.session import Session
from pipelines.types import UserError

CLICK_EXPORT = "() => setTimeout(() => document.querySelector('#export-file')?.click(), 100)"
NOT_HERE = "This conversation is not kept here, or not any more."
LOST_FILES = "A file of your draft is no longer on the server: add it again."


@dataclass(frozen=True)
class View:
    """What shows a conversation: the page's session and the components that `show` gives values for.

    `system` is where the system prompt of the next question stands: of a conversation that is opened, its own. `kept`
    are the settings that the visitor's browser keeps, and `settings_shown` is when they are there. What takes longer to
    show of a conversation that is opened follows in those that `redraw` gives values for.
    """

    session: gr.State
    composer: gr.MultimodalTextbox
    components: Sequence[Any]
    kept: gr.BrowserState
    settings_shown: gr.events.Dependency
    system: Sequence[Any]
    show: Callable[[Session], tuple[Any, ...]]
    followers: Sequence[Any]
    redraw: Callable[[Session], tuple[Any, ...]]
    leave: Callable[[Session, Draft], Draft | None]
    uploads: Callable[[], Path]


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


def wire_library(parts: Library, archive: Archive, view: View, changes: Sequence[gr.events.Dependency]) -> None:
    """Let the sidebar open, rename, export and delete conversations, and follow what `changes` the open one."""

    def listed(search: str, session: Session) -> tuple[Any, ...]:
        """The list and the open conversation's id, as both are now."""
        if not archive.is_on:
            return gr.skip(), ""
        try:
            return listing_html(archive.listed(search), session.name, search, archive.notice), session.name
        except UserError as error:
            return listing_html([], notice=str(error)), session.name

    def opened(id: str, session: Session, message: Mapping[str, object]) -> Session:
        """The session of a kept conversation; `session` itself where there is none. What is typed stays."""
        kept = archive.find(id) if archive.is_on else None
        if kept is None or id == session.name:
            return session
        rounds = archive.rounds(kept, view.uploads())
        left = view.leave(session, draft_of(message, view.uploads()))
        return Session(rounds=rounds, returned=left, history=session.history, system=kept.system, _name=id)

    def act(
        search: str, session: Session, message: dict[str, Any], settings: object, pressed: gr.SelectData
    ) -> tuple[Any, ...]:
        wanted = Pressed.of(pressed.value)
        if wanted is None or not archive.is_on:
            return *_unchanged(view), gr.skip(), gr.skip(), *listed(search, session)
        try:
            session, *shown = done(wanted, session, message, Choices.kept(settings))
            return *shown, *listed(search, session)
        except UserError as error:
            gr.Warning(str(error))
            return *_unchanged(view), gr.skip(), gr.skip(), *listed(search, session)

    def done(wanted: Pressed, session: Session, message: dict[str, Any], settings: Choices) -> tuple[Any, ...]:
        """Do what a person wants; the session then, the page, the file to save, the system prompt. Raises UserError."""
        shown, file, system = _unchanged(view), gr.skip(), gr.skip()
        if wanted.act == "open":
            other = opened(wanted.id, session, message)
            if other is not session:
                session, shown, system = other, (other, *view.show(other)), other.system
        elif wanted.act == "rename":
            archive.rename(wanted.id, wanted.title)
        elif wanted.act == "export":
            file = gr.DownloadButton(value=export(archive, wanted.id, view.uploads() / "exported"))
        elif wanted.act == "delete":
            archive.delete(wanted.id)
            if wanted.id == session.name:
                session.discard()
                left = view.leave(session, draft_of(message, view.uploads()))
                session = Session(returned=left, history=session.history)
                shown, system = (session, *view.show(session)), settings.system
        return session, *shown, file, system

    def take_in(path: str, search: str, session: Session, message: dict[str, Any]) -> tuple[Any, ...]:
        try:
            session = opened(import_file(archive, *uploaded([path], view.uploads())), session, message)
        except UserError as error:
            gr.Warning(str(error))
            return *_unchanged(view), gr.skip(), *listed(search, session)
        return session, *view.show(session), session.system, *listed(search, session)

    def restore(text: str, session: Session) -> tuple[Any, ...]:
        """Show what this tab held before it was loaded again."""
        remembered = Remembered.of_json(text)
        try:
            session = opened(remembered.id, session, {})
        except UserError as error:
            gr.Warning(str(error))
        if remembered.is_linked and not session.rounds:
            gr.Warning(NOT_HERE)
        draft = _draft(remembered, view.uploads())
        if draft.files != tuple(map(Path, remembered.files)):
            gr.Warning(LOST_FILES)
        if archive.notice:
            gr.Warning(archive.notice)
        # a visitor who was quick has something in the composer already, which nothing takes the place of
        session.returned = draft if draft != Draft("") else None
        system = session.system if remembered.is_linked else remembered.system
        system = gr.skip() if system is None or not session.rounds else system
        return session, *view.show(session), system, gr.Sidebar(visible=archive.is_on), *listed("", session)

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
        [view.session, *view.components, parts.download, *view.system, *outputs],
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
    parts.here.change(view.redraw, view.session, list(view.followers), **PRIVATE)
    parts.here.change(None, parts.here, None, js="(id) => glassbox.remember(id)")


def keep(archive: Archive, session: Session) -> None:
    """Keep the conversation as it is now; a person is told where that fails, and goes on."""
    try:
        archive.save(session.name, session.rounds, session.system)
    except UserError as error:
        gr.Warning(str(error))


def _unchanged(view: View) -> tuple[Any, ...]:
    return tuple(gr.skip() for _ in (view.session, *view.components))


def _draft(remembered: Remembered, uploads: Path) -> Draft:
    """The draft with those of its files that are still here."""
    try:
        files = uploaded(remembered.files, uploads)
    except UserError:
        files = ()
    return Draft(remembered.question, tuple(path for path in files if path.is_file()))
