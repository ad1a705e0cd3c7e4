"""Who is asking: the five documented 401 texts and the situations that give them.

The reference lists the texts, not their causes. Assumed here:

- missing authorization header: neither Authorization nor x-api-key was sent.
- invalid authorization format: Authorization is not of the form "Bearer KEY".
- missing token: "Bearer" without a key, or an empty x-api-key. What follows "Bearer" is the key, blanks included: the
  vendor's client sends a token as it is, and its own tests use one with blanks.
- invalid token: the key is not among the accepted ones.
- unauthorized: the key was accepted once and has been revoked.

x-api-key is read where there is no Authorization header; if both are sent, Authorization decides.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from .answers import ApiError

DEFAULT_NAME = "production-key"


def key_of(headers: Mapping[str, str]) -> str:
    """Return the key that a request carries.

    Args:
        headers: the request's, looked up without regard to case.

    Raises:
        ApiError: 401, if there is none or it cannot be read.
    """
    authorization = headers.get("Authorization")
    if authorization is None:
        key = headers.get("x-api-key")
        if key is None:
            raise ApiError(401, "missing authorization header")
        key = key.strip()
    else:
        scheme, _, key = authorization.strip().partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer":
            raise ApiError(401, "invalid authorization format")
    if not key:
        raise ApiError(401, "missing token")
    return key


def identity(key: str, *, keys: Mapping[str, str] | None, revoked: AbstractSet[str]) -> str:
    """Return the display name behind a key.

    Args:
        key: as sent.
        keys: display names by accepted key; None accepts any key.
        revoked: keys that are accepted no more.

    Raises:
        ApiError: 401, if the key is not accepted.
    """
    if key in revoked:
        raise ApiError(401, "unauthorized")
    if keys is None:
        return DEFAULT_NAME
    if key not in keys:
        raise ApiError(401, "invalid token")
    return keys[key]
