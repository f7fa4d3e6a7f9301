"""Bytes to records: what is not UTF-8, not JSON, or of another type is told as such."""

from __future__ import annotations

import pytest

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.sources import json_records


def test_records_are_parsed() -> None:
    assert json_records.parse(b'["\xc3\xa4", 1]', "place") == ["ä", 1]
    assert json_records.parse_object(b'\xef\xbb\xbf{"a": null}', "place") == {"a": None}
    assert json_records.expect_list(["a"], str, "texts", "place") == ["a"]
    assert json_records.expect_list_with_nulls(["a", None], str, "texts", "place") == ["a", None]
    assert json_records.text_in_images({"text_in_images": True}, "place")
    assert not json_records.text_in_images({}, "place")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'["\xff"]', Reason.NOT_UTF8),
        (b"", Reason.BROKEN_RECORD),
        (b"[1,", Reason.BROKEN_RECORD),
        (b"[1] [2]", Reason.BROKEN_RECORD),
        (b"[" * 100_000, Reason.BROKEN_RECORD),
        (b"9" * 10_000, Reason.BROKEN_RECORD),
        (b"[1]", Reason.BROKEN_RECORD),
    ],
)
def test_broken_records(data: bytes, reason: Reason) -> None:
    with pytest.raises(BadSample) as caught:
        json_records.parse_object(data, "pages.jsonl: line 3")
    assert caught.value.reason is reason
    assert caught.value.name == "pages.jsonl: line 3"


def test_types_are_checked() -> None:
    for call in (
        lambda: json_records.expect(None, str, "text", "place"),
        lambda: json_records.expect_list({}, str, "texts", "place"),
        lambda: json_records.expect_list(["a", None], str, "texts", "place"),
        lambda: json_records.expect_list_with_nulls(["a", 1], str, "texts", "place"),
        lambda: json_records.text_in_images({"text_in_images": "no"}, "place"),
    ):
        with pytest.raises(BadSample, match="expected") as caught:
            call()
        assert caught.value.reason is Reason.BROKEN_RECORD
