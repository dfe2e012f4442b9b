"""Conversations carried elsewhere: written into a ZIP, read again, and what strangers may put into one."""

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
import zipfile
from pathlib import Path

import pytest

from pipelines.archive import Archive, export, import_file
from pipelines.conversation import Draft, Reply, Round
from pipelines.types import UserError
from tests.archive_values import REPLY, media, opened, rounds_about
from tests.hostile.mutants import mutant


def test_no_mutant_of_a_bundle_does_more_than_be_refused(archive: Archive, tmp_path: Path, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    bundle = export(archive, "a", tmp_path / "out")
    assert bundle is not None
    whole, rng, fates = bundle.read_bytes(), random.Random(5), set()
    for _ in range(200):
        bundle.write_bytes(mutant(whole, whole, rng))
        try:
            import_file(archive, bundle)
            fates.add("kept")
        except UserError:
            fates.add("refused")
    assert "refused" in fates


def test_an_exported_conversation_is_the_same_elsewhere(
    archive: Archive, tmp_path: Path, uploads: Path, picture: Path
) -> None:
    archive.save("a", rounds_about(picture, "What is it? / \\ ..", "And now?"))
    bundle = export(archive, "a", tmp_path / "out")
    assert bundle is not None
    assert bundle.name == "what-is-it.zip"
    elsewhere = Archive(tmp_path / "elsewhere")
    id = import_file(elsewhere, bundle)
    assert id != "a"
    assert [past.reply for past in opened(elsewhere, id, uploads)] == [REPLY, REPLY]
    assert opened(elsewhere, id, uploads)[0].draft.files[0].read_bytes() == picture.read_bytes()
    assert export(archive, "no such one", tmp_path) is None


WHOLE = {
    "title": "Mine",
    "rounds": [
        {
            "question": "What is it?",
            "files": [{"name": "../../evil.png", "content": "0" * 64}],
            "reply": {
                "answer": "A",
                "reasoning": "",
                "finish_reason": "stop",
                "thought_s": 0,
                "num_thought_tokens": 0,
                "thought_end": None,
            },
        }
    ],
}


def bundle_of(path: Path, description: object, entries: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("conversation.json", description if isinstance(description, str) else json.dumps(description))
        for name, data in (entries or {}).items():
            bundle.writestr(name, data)
    return path


def altered(key: str, value: object) -> object:
    """`WHOLE` with one value changed, wherever its key is."""

    def change(item: object) -> object:
        if isinstance(item, dict):
            return {name: value if name == key else change(inner) for name, inner in item.items()}
        return [change(inner) for inner in item] if isinstance(item, list) else item

    return change(WHOLE)


BAD_BUNDLES = [
    pytest.param("not json", {}, id="no json"),
    pytest.param("[" * 100_000, {}, id="nested too deep"),
    pytest.param({**WHOLE, "rounds": [], "more": [0] * 10**6}, {}, id="too many values"),
    pytest.param([], {}, id="no object"),
    pytest.param(altered("title", 3), {}, id="title"),
    pytest.param(altered("rounds", {}), {}, id="rounds"),
    pytest.param(altered("files", None), {}, id="files"),
    pytest.param(altered("content", "../../etc/passwd"), {}, id="path for content"),
    pytest.param(altered("finish_reason", "why"), {}, id="end"),
    pytest.param(altered("thought_s", -1), {}, id="time"),
    pytest.param(altered("num_thought_tokens", True), {}, id="tokens"),
    pytest.param(altered("reply", "A"), {}, id="reply"),
    pytest.param(WHOLE, {"media/" + "0" * 64: b"other"}, id="content that is another"),
    pytest.param(WHOLE, {f"media/{place}": b"" for place in range(10_001)}, id="too many"),
]


@pytest.mark.parametrize(("description", "entries"), BAD_BUNDLES)
def test_a_bundle_of_a_stranger_is_refused(
    description: object, entries: dict[str, bytes], archive: Archive, tmp_path: Path
) -> None:
    with pytest.raises(UserError):
        import_file(archive, bundle_of(tmp_path / "bad.zip", description, entries))
    assert archive.listed() == []
    assert media(archive) == []


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_bundle_that_is_packed_in_another_way_is_refused(packing: int, archive: Archive, tmp_path: Path) -> None:
    """LZMA that was damaged was a raw exception."""
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", packing) as bundle:
        bundle.writestr("conversation.json", json.dumps(altered("files", [])))
    with pytest.raises(UserError, match="not an exported conversation"):
        import_file(archive, tmp_path / "bad.zip")


def test_an_import_that_is_refused_leaves_none_of_its_files(archive: Archive, tmp_path: Path) -> None:
    """Those before the one that was not what it said stayed for good."""
    data = [str(number).encode() for number in range(8)]
    whole = [{"name": "a.png", "content": hashlib.sha256(text).hexdigest()} for text in data]
    entries = {f"media/{file['content']}": text for file, text in zip(whole, data, strict=True)}
    description = altered("files", [*whole, {"name": "b.png", "content": "0" * 64}])
    with pytest.raises(UserError, match="not an exported conversation"):
        import_file(archive, bundle_of(tmp_path / "bad.zip", description, {**entries, "media/" + "0" * 64: b"other"}))
    assert media(archive) == []


def test_what_is_no_bundle_is_refused(archive: Archive, picture: Path) -> None:
    with pytest.raises(UserError, match="not an exported conversation"):
        import_file(archive, picture)


def test_a_bundle_that_unpacks_to_too_much_is_refused_at_once(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.archive.portable.MAX_BYTES", 10_000)
    with pytest.raises(UserError, match="too large"):
        import_file(archive, bundle_of(tmp_path / "bomb.zip", WHOLE, {"media/" + "0" * 64: bytes(20_000)}))


def test_a_list_of_millions_of_entries_is_not_read(archive: Archive, tmp_path: Path) -> None:
    """Two million of them, in 94 MB, took a minute and 760 MB before they were counted."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, *[0] * 8, 1, *[0] * 6) + b"a"
    entries = entry * 100_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(entries), 0, 0)
    hostile = tmp_path / "hostile.zip"
    hostile.write_bytes(entries + end)
    with pytest.raises(UserError, match="not an exported conversation"):
        import_file(archive, hostile)


def test_what_is_exported_can_be_imported(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than 199 files it could not, and nobody was told as it was exported."""
    files = [tmp_path / f"{place}.png" for place in range(201)]
    for place, path in enumerate(files):
        path.write_bytes(bytes(place))
    archive.save("a", [Round(Draft("What are they?", tuple(files)), REPLY)])
    bundle = export(archive, "a", tmp_path / "out")
    assert bundle is not None
    assert import_file(archive, bundle)
    monkeypatch.setattr("pipelines.archive.portable.MAX_BYTES", 10_000)
    with pytest.raises(UserError, match="too large"):
        export(archive, "a", tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_two_conversations_of_one_title_are_exported_side_by_side(
    archive: Archive, tmp_path: Path, picture: Path
) -> None:
    """Both were written to one file at once."""
    for id in ("a", "b"):
        archive.save(id, [Round(Draft("What is it?", (picture,)), Reply(id))])
    first, second = (export(archive, id, tmp_path / "out") for id in ("a", "b"))
    assert first is not None
    assert second is not None
    assert first.name == second.name
    for id, bundle in {"a": first, "b": second}.items():
        kept = archive.find(import_file(archive, bundle))
        assert kept is not None
        assert kept.rounds[0].reply.answer == id


def test_a_file_from_before_zips_is_exported(archive: Archive, tmp_path: Path, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    os.utime(media(archive)[0], (0, 0))
    assert export(archive, "a", tmp_path / "out") is not None


def test_a_long_name_of_letters_that_need_many_bytes_is_cut(
    archive: Archive, tmp_path: Path, uploads: Path, picture: Path
) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    description = json.dumps(altered("content", media(archive)[0].name)).replace("evil", "漢" * 100)
    (past,) = opened(archive, import_file(archive, bundle_of(tmp_path / "a.zip", description)), uploads)
    assert past.draft.files[0].name.endswith("漢.png")


def test_no_name_of_a_bundle_is_a_path(archive: Archive, tmp_path: Path, uploads: Path, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    content = media(archive)[0].name
    bundle = bundle_of(tmp_path / "whole.zip", altered("content", content))
    (past,) = opened(archive, import_file(archive, bundle), uploads)
    assert past.draft.files == (uploads / content / "evil.png",)
