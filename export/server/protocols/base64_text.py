"""Base64 as people send it: with line breaks, as a data URI, in the alphabet for URLs, with or without padding."""

from __future__ import annotations

import base64
import re

_SPACE = b" \t\r\n"
_OTHER = re.compile(rb"[^A-Za-z0-9+/]")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def from_base64(text: object) -> bytes:
    r"""Decodes base64 (RFC 4648), where it can be read in one way only.

    White space is skipped, as MIME has it (RFC 2045, 6.8); "data:image/png;base64," before it is skipped, and the media
    type not obeyed; "-" and "_" stand for "+" and "/" if none of these occur; "=" at the end may be missing altogether.

    Raises:
        ValueError: If it is something else: what is wrong.
    """
    if not isinstance(text, str):
        raise ValueError(f"it is no text but {type(text).__name__}")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # slowly
        return _lenient(text)


def _lenient(text: str) -> bytes:
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise ValueError("it is a data URI without ;base64,")
    if not text.isascii():
        raise ValueError("only ASCII characters are")
    data = text.encode().translate(None, _SPACE)
    content = data.rstrip(b"=")
    if len(data) > len(content) and len(data) % 4:
        raise ValueError(f"the = at its end do not fill up {len(content)} characters to a multiple of four")
    if len(content) % 4 == 1:
        raise ValueError(f"{len(content)} characters are one too many or three too few")
    if any(character in content for character in b"-_"):
        if any(character in content for character in b"+/"):
            raise ValueError("it mixes the alphabet for URLs, - and _, with the other, + and /")
        content = content.translate(_URL_SAFE)
    if other := _OTHER.search(content):
        raise ValueError(f"{other[0].decode()!r} is none of its characters, or stands within it")
    return base64.b64decode(content + b"=" * (-len(content) % 4), validate=True)
