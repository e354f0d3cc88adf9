"""Tokens: the same claims give the same text, and whatever the named key did not sign by RS256 is refused."""

from __future__ import annotations

import jwt as pyjwt
import pytest

from localcloud.iam import jwt

CLAIMS = {"sub": "somebody", "aud": ["anybody"], "iat": 1, "nbf": 10**12, "exp": 2.5}
KEY, OTHER = jwt.new_key(), jwt.new_key()


def test_what_is_signed_comes_back_whatever_the_time_and_has_one_text():
    text = jwt.sign(CLAIMS, KEY, "key-1", "at+jwt")
    assert text == jwt.sign(CLAIMS, KEY, "key-1", "at+jwt")
    token = jwt.parse(text)
    token.verify(jwt.public_pem(KEY))
    assert token.header == {"alg": "RS256", "kid": "key-1", "typ": "at+jwt"} and token.claims == CLAIMS


@pytest.mark.parametrize(
    "text",
    [
        jwt.sign(CLAIMS, OTHER, "key-1"),
        pyjwt.encode(CLAIMS, None, "none", {"kid": "key-1"}),
        pyjwt.encode(CLAIMS, b"x" * 64, "HS256", {"kid": "key-1"}),
        pyjwt.encode(CLAIMS, KEY, "RS512", {"kid": "key-1"}),
        pyjwt.encode(CLAIMS, KEY, "PS256", {"kid": "key-1"}),
        jwt.sign(CLAIMS, KEY, "key-1").rpartition(".")[0] + ".",
    ],
)
def test_only_the_named_key_and_rs256_count(text):
    token = jwt.parse(text)
    with pytest.raises(jwt.BadToken):
        token.verify(jwt.public_pem(KEY))


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "e30.W10.", "W10.e30.", "t\xf6ken", "\ud800.e30.", "e30.e30.!!"])
def test_what_is_no_token_is_a_bad_one(text):
    with pytest.raises(jwt.BadToken):
        jwt.parse(text)


def test_a_web_key_has_what_google_publishes():
    assert jwt.web_key(KEY, "key-1").keys() == {"kty", "alg", "use", "kid", "n", "e"}
