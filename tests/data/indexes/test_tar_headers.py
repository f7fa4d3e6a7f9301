"""Headers of tar files: the same members as Python's tarfile finds, and broken files."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest

from flamingo_jax.data.indexes.tar_headers import BLOCK, BrokenTar, Member, first_member, members

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
LONG_NAME = "folder/" * 30 + "a.jpg"


def _info(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info


def _tar(contents: dict[str, bytes], tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as tar:
        for name, content in contents.items():
            tar.addfile(_info(name, len(content)), io.BytesIO(content))
    return file.getvalue()


def _members(tar: bytes) -> list[Member]:
    return list(members(lambda offset, length: tar[offset : offset + length], len(tar)))


def _until_broken(tar: bytes) -> tuple[list[str], BrokenTar]:
    found = []
    with pytest.raises(BrokenTar) as raised:
        for member in members(lambda offset, length: tar[offset : offset + length], len(tar)):
            found.append(member.name.decode())
    return found, raised.value


@pytest.mark.parametrize("tar_format", FORMATS)
def test_the_same_members_as_tarfile(tar_format: int) -> None:
    names = ["a.jpg", "x/y/b.TXT", "ä.jpg", "c" * 99, "d" * 100, "folder/" * 20 + "e.jpg"]
    if tar_format != tarfile.USTAR_FORMAT:
        names += ["f" * 101, "folder/" * 300 + "ü", LONG_NAME]
    contents = {name: name.encode() * (7 * number) for number, name in enumerate(names)}
    tar = _tar(contents, tar_format)
    found = _members(tar)
    with tarfile.open(fileobj=io.BytesIO(tar)) as expected:
        assert [(member.name.decode(), member.data, member.size) for member in found] == [
            (info.name, info.offset_data, info.size) for info in expected
        ]
        assert [member.header for member in found] == [info.offset for info in expected]
    for member, content in zip(found, contents.values(), strict=True):
        assert tar[member.data : member.data + member.size] == content
        assert first_member(tar[member.header : member.data], member.size) == member._replace(
            header=0, data=member.data - member.header
        )


def test_sizes_of_pax_headers_hold() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = _info("a.jpg", 3)
        info.pax_headers = {"size": "5", "comment": "a = b\n12 c=d"}
        tar.addfile(info, io.BytesIO(b"abc"))
        tar.addfile(_info("b.jpg", 2), io.BytesIO(b"de"))
    # tarfile wrote 3 as the size in the member's own header; the pax header says 5.
    found = [(member.name, member.size) for member in _members(file.getvalue())]
    assert found == [(b"a.jpg", 5), (b"b.jpg", 2)]


def test_sparse_members_are_left_out() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = _info("a.jpg", 3)
        info.pax_headers = {"GNU.sparse.realsize": "1000"}
        tar.addfile(info, io.BytesIO(b"abc"))
        tar.addfile(_info("b.jpg", 2), io.BytesIO(b"de"))
    assert [member.name for member in _members(file.getvalue())] == [b"b.jpg"]


def test_sizes_that_octal_digits_cannot_hold() -> None:
    size = 9 << 30
    header = _info("a.mp4", size).tobuf(tarfile.GNU_FORMAT)
    end = bytes(2 * BLOCK)
    num_bytes = len(header) + size + len(end)

    def read(offset: int, length: int) -> bytes:
        return (header if offset == 0 else end)[:length]

    assert list(members(read, num_bytes)) == [Member(b"a.mp4", 0, BLOCK, size, False)]


def test_folders_and_devices_are_left_out_and_links_are_told() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.addfile(_info("x", kind=tarfile.DIRTYPE))
        tar.addfile(_info("old/", kind=tarfile.AREGTYPE))
        tar.addfile(_info("a", 1), io.BytesIO(b"a"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = _info("b", kind=kind)
            link.linkname = "a" * 200
            tar.addfile(link)
        tar.addfile(_info("device", kind=tarfile.CHRTYPE))
        tar.addfile(_info("pipe", kind=tarfile.FIFOTYPE))
        tar.addfile(_info("./c", 1, tarfile.CONTTYPE), io.BytesIO(b"c"))
    found = [(member.name, member.is_link) for member in _members(file.getvalue())]
    assert found == [(b"a", False), (b"b", True), (b"b", True), (b"c", False)]


def test_every_cut_leaves_the_whole_members() -> None:
    contents = {"a.jpg": b"a" * 700, LONG_NAME: b"b" * 10, "c.jpg": b""}
    for tar_format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        tar = _tar(contents, tar_format)
        whole = _members(tar)
        end_mark = whole[-1].data
        for cut in [*range(0, end_mark + BLOCK, 100), whole[1].data + 10, end_mark]:
            found, broken = _until_broken(tar[:cut])
            assert broken.is_truncated, cut
            expected = [
                member.name.decode() for member in whole if member.data + member.size <= cut
            ]
            assert found == expected, cut
        assert _members(tar[: end_mark + BLOCK]) == whole


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (b"<html>not found</html>".ljust(1024), "no header"),
        (b"\xff" * 1024, "no header"),
        (_info("a", 1, tarfile.GNUTYPE_SPARSE).tobuf() + bytes(1024), "sparse"),
        (_info("a", 1 << 30, tarfile.GNUTYPE_LONGNAME).tobuf() + bytes(1024), "a header of"),
        (_info("a", 20, tarfile.XHDTYPE).tobuf() + b"99 path=x\n".ljust(512), "pax header"),
        (_info("a", 20, tarfile.XHDTYPE).tobuf() + b"x path=x\n".ljust(512), "pax header"),
        (_info("a", 9, tarfile.XHDTYPE).tobuf() + b"9 size=-\n".ljust(512), "pax header"),
        (_info("a", 512, tarfile.XHDTYPE).tobuf() + b"512 size=".ljust(511, b"9") + b"\n", "pax"),
        (_info("a", 10, tarfile.XGLTYPE).tobuf() + b"10 path=x\n".ljust(512), "global header"),
    ],
)
def test_what_is_no_tar_file_ends_the_reading(first: bytes, words: str) -> None:
    whole = _tar({"a.jpg": b"a"})[: 2 * BLOCK]
    for before, names in ((b"", []), (whole, ["a.jpg"])):
        found, broken = _until_broken(before + first)
        assert found == names
        assert words in str(broken) and not broken.is_truncated


def test_a_changed_header_is_not_that_of_the_member() -> None:
    tar = _tar({"a.jpg": b"abc"})
    header = tar[:BLOCK]
    assert first_member(header, 3) is not None
    assert first_member(header, 4) is None
    assert first_member(bytes(BLOCK), 3) is None
    assert first_member(b"x" * BLOCK, 3) is None
    assert first_member(header[:100], 3) is None


def test_no_byte_makes_it_fail_otherwise() -> None:
    whole = bytearray(_tar({"a.jpg": b"abc", LONG_NAME: b"b", "c/ä.txt": b""}))
    random = np.random.default_rng(0)
    for _ in range(3000):
        broken = bytearray(whole)
        for place in random.integers(len(whole) - BLOCK, size=3):
            broken[place] = random.integers(256)
        cut = bytes(broken[: random.integers(len(whole))])
        try:
            names = [member.name for member in _members(cut)]
        except BrokenTar:
            continue
        assert len(names) <= 4
