"""Bodies packed with gzip: unpacked piece by piece, however they are cut, and never all at once."""

import asyncio
import gzip
import zlib

import pytest

from localcloud.core.errors import ApiError
from localcloud.transport.unpacking import Unpacked, is_packed

HEADERS = [(b"content-encoding", b"GZIP"), (b"content-length", b"9"), (b"x", b"y")]


def pieces(body: bytes, size: int) -> list[bytes]:
    async def read() -> list[bytes]:
        parts = [body[i : i + size] for i in range(0, len(body), size)] or [b""]
        messages = iter(
            {"type": "http.request", "body": p, "more_body": i < len(parts)} for i, p in enumerate(parts, 1)
        )

        async def receive():
            return next(messages, {"type": "http.disconnect"})

        unpacked, found = Unpacked({"headers": HEADERS}, receive), []
        while True:
            message = await unpacked()
            found.append(message["body"])
            if not message["more_body"]:
                assert (await unpacked())["type"] == "http.disconnect"
                return found

    return asyncio.run(read())


@pytest.mark.parametrize("size", [1, 7, 1000, 10**7])
@pytest.mark.parametrize("plain", [b"", b"x", b"words " * 1000])
def test_a_body_is_the_same_however_it_is_cut(plain, size):
    assert b"".join(pieces(gzip.compress(plain), size)) == plain
    assert b"".join(pieces(gzip.compress(plain) + gzip.compress(b"more"), size)) == plain + b"more"


def test_what_grows_a_thousandfold_comes_in_small_pieces():
    found = pieces(gzip.compress(bytes(50_000_000)), 10**7)
    assert sum(map(len, found)) == 50_000_000
    assert max(map(len, found)) <= 256 * 1024


@pytest.mark.parametrize(
    "body",
    [b"", b"no gzip", gzip.compress(b"cut off")[:-1], zlib.compress(b"of another kind")],
    ids=["empty", "text", "cut off", "zlib"],
)
def test_what_is_no_gzip_is_refused(body):
    with pytest.raises(ApiError) as refused:
        pieces(body, 3)
    assert refused.value.code == 400


def test_the_headers_tell_of_the_plain_body():
    scope = {"headers": list(HEADERS)}
    assert is_packed(scope)
    Unpacked(scope, lambda: None)  # type: ignore[arg-type]
    assert scope["headers"] == [(b"x", b"y")] and not is_packed(scope)
