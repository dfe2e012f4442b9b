"""What was found of one thing that a machine should have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from pipelines.types import UserError

REINSTALL = "run `pip install -r requirements.txt` again"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `wrong` says what is wrong with it and what to do: nothing where all is well."""

    name: str
    told: str
    wrong: str = ""


def loaded(name: str, look: Callable[[str], Finding]) -> Finding:
    """What `look` finds, or that what it needs is not whole."""
    try:
        return look(name)
    except UserError as error:
        return Finding(name, "not known", str(error))
    except (ImportError, OSError) as error:
        missing = f" ({error.name})" if isinstance(error, ImportError) and error.name else ""
        return Finding(name, "not known", f"What tells of {name} cannot be loaded{missing}: {REINSTALL}.")


def installed(package: str) -> Finding:
    """The version of a package, or that it is not there."""
    try:
        return Finding(package, version(package))
    except PackageNotFoundError:
        return Finding(package, "not installed", f'"{package}" is not installed: {REINSTALL}.')


def why(error: Exception) -> str:
    """The error in the system's own words, where it has some."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
