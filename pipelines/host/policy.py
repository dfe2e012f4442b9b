"""What visitors may take: one set of limits for a machine of one's own, and a lower one for a public host."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipelines.host.login import Login
from pipelines.types import Settings

MEGABYTE = 1_000_000
"""As browsers and disks count, and so the page that tells how far an upload is."""


@dataclass(frozen=True)
class Policy:
    """Limits. `hosts` are the names that the server answers to besides addresses and localhost; None: to all.

    `max_per_address` counts questions that are answered or wait, and those about an answer, `quota_bytes` what all
    uploads may take on the disk. Uploads are deleted once they are `keep_uploads_s` old, and the conversation of who
    has closed the page is forgotten after `keep_left_s`, unless it is kept on disk. Where they `may_change_model`,
    visitors may have another model loaded for all of them, and downloaded first.
    """

    is_public: bool
    max_file_bytes: int
    quota_bytes: int
    keep_uploads_s: int
    keep_left_s: int
    max_new_tokens: int
    max_frames: int
    max_per_address: int
    max_uploads_a_minute: int
    max_files_a_request: int = 20
    hosts: frozenset[str] | None = frozenset()
    trusts_proxy: bool = False
    login: Login = "none"
    may_change_model: bool = False

    def lowered(self, settings: Settings) -> Settings:
        """The settings of a request, within the limits."""
        number = settings.num_frames
        return replace(
            settings,
            max_new_tokens=min(settings.max_new_tokens, self.max_new_tokens),
            max_frames=min(settings.max_frames, self.max_frames),
            num_frames=None if number is None else min(number, self.max_frames),
        )

    def known_by(self, host: str) -> Policy:
        """The limits of a page that listens at this name or address: who is led there asks for it by that name."""
        return self if self.hosts is None or is_local(host) else replace(self, hosts=self.hosts | {host})

    @property
    def told(self) -> str:
        """The limits that a visitor may meet, in words."""
        size = f"Up to {self.max_file_bytes // MEGABYTE} MB a file"
        if not self.is_public:
            return f"{size}."
        return (
            f"{size}, deleted within the hour. This host is public: at most "
            f"{self.max_new_tokens:,} new tokens and {self.max_frames} frames, one question running and one waiting, "
            f"{self.max_per_address} from one address. Nothing is kept."
        )


PRIVATE_HOST = Policy(
    is_public=False,
    max_file_bytes=512 * MEGABYTE,
    quota_bytes=20_000 * MEGABYTE,
    keep_uploads_s=86_400,
    keep_left_s=3_600,
    max_new_tokens=2**31,
    max_frames=768,
    max_per_address=32,
    max_uploads_a_minute=600,
    may_change_model=True,
)
PUBLIC_HOST = Policy(
    is_public=True,
    max_file_bytes=100 * MEGABYTE,
    quota_bytes=4_000 * MEGABYTE,
    keep_uploads_s=3_600,
    keep_left_s=1_800,
    max_new_tokens=1_024,
    max_frames=64,
    max_per_address=4,
    max_uploads_a_minute=30,
    hosts=None,
)


def is_local(host: str) -> bool:
    """Whether a page that listens at this name or address is reached from its own machine alone."""
    return host in ("127.0.0.1", "localhost", "::1")


def is_private(host: str, policy: Policy) -> bool:
    """Whether nobody but this machine reaches a page that listens at this name or address.

    A proxy on the same machine reaches it too, and brings others: it is named as such, or by its name.
    """
    return is_local(host) and not (policy.is_public or policy.trusts_proxy or policy.hosts)


def policy_of(
    is_public: bool,
    names: list[str],
    environment: Mapping[str, str] = os.environ,
    *,
    is_proxied: bool = False,
    keep_minutes: float | None = None,
    login: Login = "none",
    is_fixed: bool = False,
) -> Policy:
    """The limits for a start of the server; a Space is public by itself, and behind a proxy that names its visitors.

    `keep_minutes` is for hosts that want to hold less for long than is usual, and cannot make it longer. Where it
    `is_fixed`, nobody changes the model.
    """
    is_space = "SPACE_ID" in environment
    policy = PUBLIC_HOST if is_public or is_space else PRIVATE_HOST
    space_host = environment.get("SPACE_HOST")
    allowed = frozenset(name.lower() for name in [*names, *([space_host] if space_host else [])])
    keep_s = policy.keep_uploads_s if keep_minutes is None else round(60 * keep_minutes)
    return replace(
        policy,
        hosts=allowed or policy.hosts,
        trusts_proxy=is_space or is_proxied,
        login=login,
        keep_uploads_s=min(keep_s, policy.keep_uploads_s),
        keep_left_s=min(keep_s, policy.keep_left_s),
        may_change_model=policy.may_change_model and not is_fixed,
    )
