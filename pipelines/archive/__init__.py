"""Conversations that are kept on this machine: in a database, with their pictures and clips beside it."""

from pipelines.archive.kept import Kept, Listed, draw_id
from pipelines.archive.opening import RenewedError
from pipelines.archive.portable import export, import_file
from pipelines.archive.store import Archive, data_folder
from pipelines.archive.table import ChangedError

__all__ = [
    "Archive",
    "ChangedError",
    "Kept",
    "Listed",
    "RenewedError",
    "data_folder",
    "draw_id",
    "export",
    "import_file",
]
