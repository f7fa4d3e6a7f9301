"""What became of a picture: the words that the manifest and the table of yields count by."""

from __future__ import annotations


class Outcome:
    """Names of outcomes; answers of another status than 200 are `http_404`, `http_503`, ..."""

    SAVED = "saved"
    # Before anything is asked.
    BAD_URL = "bad_url"
    NAME_NOT_FOUND = "name_not_found"
    PRIVATE_ADDRESS = "private_address"
    # While asking.
    CONNECTION_FAILED = "connection_failed"
    BAD_CERTIFICATE = "bad_certificate"
    TIMEOUT = "timeout"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    INTERRUPTED_TRANSFER = "interrupted_transfer"
    TOO_LARGE = "too_large"
    OPTED_OUT = "opted_out"
    # What came is no picture, or none that can be used: named as `bad_samples.Reason`.

    @staticmethod
    def http(status: int) -> str:
        """The outcome of an answer's status."""
        return f"http_{status}"


class FetchFailed(Exception):
    """A picture could not be had.

    Attributes:
        outcome: one of `Outcome`.
        may_retry: whether the same request may succeed later.
    """

    def __init__(self, outcome: str, detail: str = "", may_retry: bool = False) -> None:
        """Says what came of it, in `detail` more closely."""
        super().__init__(f"{outcome}{f' ({detail})' if detail else ''}")
        self.outcome = outcome
        self.may_retry = may_retry
