"""Starting the page: `python app.py [--model NAME] [--host ADDRESS] [--port NUMBER]`."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hmac import compare_digest

import gradio as gr
import httpx
from gradio import http_server
from starlette.middleware import Middleware

from pipelines.archive import data_folder
from pipelines.host import Gate, Listening, ports
from pipelines.host.arrivals import ArrivalWatch
from pipelines.host.compression import StreamCompression
from pipelines.host.ending import Ending
from pipelines.host.headers import SecurityHeaders
from pipelines.host.login import LOGINS, SignedIn, check_login
from pipelines.host.own_uploads import PORT
from pipelines.host.policy import is_private, policy_of
from pipelines.host.proxies import no_proxies
from pipelines.models import Running
from pipelines.options import add_model, address, host_name, port_number, positive, positive_number
from pipelines.page import components as parts
from pipelines.page.doors import MAX_NAME_CHARACTERS
from pipelines.page.host import Host, uploads
from pipelines.page.programs import Named, tools_of
from pipelines.page.sessions import MAX_SESSIONS, keeping_house
from pipelines.present.figures.metrics import Metrics
from pipelines.present.languages import catalogues
from pipelines.types import UserError

USER_ERROR = 2
WHOLE = "glassbox"
"""A catalogue goes to the browser as one text: Gradio translates what is a key of its own accord, values of controls
too, which then come back as choices that nobody offered."""
PASSWORD = "GLASSBOX_PASSWORD"
"""In the environment, as the arguments of a program are seen by everyone on its machine."""
UNTYPED = re.compile(r"[\0-\x1f\x7f\ud800-\udfff]")
"""Ends of lines, as a file for the environment may have, and bytes that are no UTF-8."""


def launch(host: Host, page: gr.Blocks, arguments: Sequence[str] | None = None) -> int:
    """Load the model, serve the page, print its address, and end in peace; returns the exit status."""
    options = parser().parse_args(arguments)
    model = host.model
    model.policy = policy_of(
        options.public,
        options.allow_host,
        is_proxied=options.behind_proxy,
        keep_minutes=options.keep_minutes,
        login=options.login,
        is_fixed=options.fixed_model,
    ).known_by(options.host)
    model.name = options.model
    model.running = Running(
        options.engine, options.weights, options.warm_up, options.base_url, options.timeout, options.replicas
    )
    host.rivals.named = tuple(options.compare)
    is_own = is_private(options.host, model.policy)
    host.rivals.is_open = is_own and model.policy.may_change_model
    try:
        password_of(os.environ)  # before a model is loaded
        if options.login == "huggingface":
            check_login(os.environ)
        folder = data_folder(options.data, is_private=is_own, is_public=model.policy.is_public)
        if folder is not None:
            host.archive.open(folder)
        model.load()
        if options.metrics_port is not None:
            model.metrics = Metrics()
            model.metrics.serve(options.host, options.metrics_port)
        with telling_of_port(options.host, options.port), no_proxies():
            at = serve(host, page, options.host, options.port)
        print(f"Glassbox is on {at}", flush=True)
    except UserError as error:
        print(error, file=sys.stderr)
        return USER_ERROR
    wait_for_the_end(host, page)
    return 0


@contextmanager
def telling_of_port(name: str, port: int) -> Iterator[None]:
    """What keeps the page from its port, as a sentence: Gradio's own words speak of its arguments, and of no cause."""
    try:
        yield
    except OSError as error:
        place, found = ports.of_page(name, port) or (name, error)
        raise UserError(ports.told(found, place, port, "--host or --port")) from error
    except (httpx.TransportError, httpx.InvalidURL) as error:  # it asks the page itself as it starts
        raise UserError(
            f"This machine cannot reach the page at {name} ({error}): choose another with --host."
        ) from error


def wait_for_the_end(host: Host, page: gr.Blocks) -> None:
    """Return when the signal to end has come, and every stream has had its last word."""
    ending = Ending()
    ending.listen()
    ending.wait(host.turns, host.audience)
    page.close(verbose=False)


def serve(host: Host, page: gr.Blocks, name: str = ports.LOCAL, port: int = PORT) -> str:
    """Begin to serve the page at a name or address of this machine, and return where it is."""
    host.turns.max_per_address = host.model.policy.max_per_address
    if host.policy().login == "huggingface":
        with page:
            gr.LoginButton(size="sm")  # it brings the way to the hub, tells who is signed in, and lets them out
    password = password_of(os.environ)
    http_server.LOCALHOST_NAME = ports.LOCAL
    _, at, _ = page.launch(
        server_name=f"[{name}]" if ":" in name else name,  # it makes the address of the page from it
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        theme=parts.theme(),
        css_paths=list(parts.STYLES),
        head=parts.head(),
        i18n=gr.I18n(**{language: {WHOLE: json.dumps(texts)} for language, texts in catalogues().items()}),
        max_file_size=host.model.policy.max_file_bytes,
        auth=(lambda name, given: lets_in(password, name, given)) if password else None,
        auth_message="Any name, and the password of this host." if password else None,
        allowed_paths=[str(parts.EXAMPLES_FOLDER)],
        app_kwargs={"middleware": middleware(host), "lifespan": keeping_house(host, page)},
        state_session_capacity=2 * MAX_SESSIONS,
        footer_links=[],
        strict_cors=True,
        ssr_mode=False,
        enable_monitoring=False,
        run_history=False,
        share=False,
    )
    return str(at)


def middleware(host: Host) -> list[Middleware]:
    """What every request passes, the outermost first."""
    gate = Middleware(Gate, policy=host.policy, uploads=uploads)
    watch = Middleware(ArrivalWatch, arrivals=host.model.arrivals)
    signed_in = Middleware(SignedIn, login=lambda: host.policy().login)
    named = Middleware(Named, tools=[tool.__name__ for tool in tools_of(host)])
    listening = Middleware(Listening, audience=host.audience)
    return [Middleware(SecurityHeaders), Middleware(StreamCompression), watch, gate, signed_in, named, listening]


def password_of(environment: Mapping[str, str]) -> str | None:
    """What visitors need, None where they need nothing. Raises UserError for what lets in everyone, or nobody."""
    password = environment.get(PASSWORD)
    if password is not None and (not password or UNTYPED.search(password)):
        raise UserError(f"{PASSWORD} is empty, or holds what nobody can type: give another, or take it away.")
    return password


def lets_in(password: str, name: str, given: str) -> bool:
    """Whether a visitor gets in: the framework remembers each name for good."""
    return len(name) <= MAX_NAME_CHARACTERS and compare_digest(given.encode(), password.encode())


def login_named(text: str) -> str:
    """A way to sign in: the parser holds what is given against `choices`, but not what the environment names."""
    if text not in LOGINS:
        raise argparse.ArgumentTypeError(f"must be {' or '.join(LOGINS)}, and so must GLASSBOX_LOGIN")
    return text


def parser() -> argparse.ArgumentParser:
    """The options of the page's program."""
    options = argparse.ArgumentParser(description="Ask Qwen3.5 about pictures and clips, and see why it says so.")
    name = os.environ.get("GLASSBOX_MODEL", "demo")
    add_model(options, name)
    options.add_argument(
        "--replicas", type=positive, default=1, metavar="N", help="engines side by side, one on each GPU"
    )
    options.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="MODEL",
        help="another model that visitors may compare with: a name as --model takes it, or NAME@http://HOST:PORT/v1",
    )
    host = os.environ.get("GRADIO_SERVER_NAME", ports.LOCAL)  # a Space sets it
    options.add_argument("--host", type=address, default=host, help="address to listen on (default: this machine only)")
    port = os.environ.get("GRADIO_SERVER_PORT", PORT)
    options.add_argument("--port", type=port_number, default=port, help="port to listen on (default: 7860)")
    options.add_argument(
        "--warm-up",
        action="store_true",
        help="before the first question, measure the device and capture the graphs of a GPU",
    )
    options.add_argument(
        "--data",
        metavar="FOLDER",
        help="where conversations are kept, for everyone who reaches the page, or none (default: your own data "
        "folder where only this machine can reach the page, and no proxy, else none)",
    )
    options.add_argument("--public", action="store_true", help="for strangers: lower limits, nothing kept")
    options.add_argument(
        "--allow-host",
        type=host_name,
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which visitors reach the page, as box.example; may be given more than once",
    )
    options.add_argument(
        "--login",
        type=login_named,
        default=os.environ.get("GLASSBOX_LOGIN") or "none",
        metavar=f"{{{','.join(LOGINS)}}}",
        help="on a Space, let in who has signed in with Hugging Face alone",
    )
    options.add_argument(
        "--keep-minutes",
        type=positive_number,
        metavar="N",
        help="delete uploads sooner than after a day, and forget who has left sooner than after an hour "
        "(on a public host: an hour, and half an hour)",
    )
    options.add_argument(
        "--fixed-model",
        action="store_true",
        help="visitors may have no other model loaded, nor downloaded, but those of --compare",
    )
    options.add_argument("--behind-proxy", action="store_true", help="visitors are told apart by X-Forwarded-For")
    options.add_argument(
        "--metrics-port", type=port_number, metavar="PORT", help="also serve /metrics for Prometheus there"
    )
    return options
