"""Changes to inputs that keep their form: an archive stays one, with right checksums, and only what is in it is wrong.

Each takes an input and a source of chance and returns another input. Where the form is lost already, bytes are changed.
"""

import contextlib
import io
import json
import math
import pickletools
import re
import struct
import zipfile
import zlib

NUMBERS = (
    0, 1, -1, 2, 7, 8, 127, 128, 255, 256, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63,
    2**64, -(2**31), -(2**63), 10**18, 10**400, 0.5, -0.0, 1e-320, 1e308, math.inf, -math.inf, math.nan,
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "a\nb", "\x1b[31m", "\ud800", "\udcff", "\u2028", "é", "猫", "a" * 300, "../a.jpg", "/a.jpg",
    "C:\\a", "void", "__ignore__", "background", "a,b", "a:b", "=1", "1e999", "null", "\0tile=(1\0",
)  # fmt: skip
HUGE = "9" * 5000
"""A number of more digits than Python turns into one by itself."""

_HUGE_MARK = "\ue000"
_WORDS = (
    "\\U00110000", '"\\UFFFFFFFF"', "0x_", "0b_", "2024-13-45", "1:99", "!!int ''", "!!timestamp x", "!!bool x",
    "!!float ''", "!!binary é", "&a [*a]", "*a", "<<: 1", "? [1]", "? {}", "!!python/name:os.system", "!x", "%YAML 9.9",
    "---", "...", "[", "{", "]", "}", "<", "&x;", "<![CDATA[", "<!DOCTYPE a>", "'", '"', "#", ",", ";", ":", "\t",
    "\r", "\ufeff", "\x85",
)  # fmt: skip


def of_bytes(data, rng):
    """Turns, repeats, inserts or leaves out some bytes."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        place, length = rng.randint(0, len(data)), rng.choice((1, 1, 2, 4, 8, 30))
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place : place + length] = rng.randbytes(length)
        elif kind == 2:
            data[place:place] = data[place : place + length]
        elif kind == 3:
            del data[place : place + length]
        elif kind == 4:
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 255, 64)) % 2 ** (8 * size)
            data[place : place + size] = number.to_bytes(size, rng.choice(("big", "little")))
        else:
            del data[place:]
    return bytes(data)


def of_text(data, rng):
    """Replaces, inserts, repeats or leaves out a number, a word or a line."""
    text = data.decode("utf-8", "surrogateescape")
    tokens = re.findall(r"-?\d+(?:\.\d+)?|\w+|\n|.", text, re.DOTALL)
    if not tokens or rng.random() < 0.2:
        return of_bytes(data, rng)
    place, kind = rng.randrange(len(tokens)), rng.randrange(4)
    if kind == 0:
        tokens[place] = rng.choice((*map(str, NUMBERS), *TEXTS, *_WORDS, HUGE))
    elif kind == 1:
        tokens.insert(place, rng.choice((*_WORDS, *TEXTS)))
    elif kind == 2:
        tokens[place:place] = tokens[place : place + rng.randint(1, 40)] * rng.choice((1, 1, 2, 200))
    else:
        del tokens[place : place + rng.choice((1, 1, 5, 40))]
    return "".join(tokens).encode("utf-8", "surrogatepass" if kind == 1 else "replace")


def of_json(data, rng):
    """Replaces, leaves out or repeats a value anywhere in JSON; a tenth of the time, changes its text."""
    with contextlib.suppress(ValueError, RecursionError):
        if rng.random() > 0.1:
            return written(_changed(json.loads(data), rng))
    return of_text(data, rng)


def written(value):
    """Returns JSON of a value, in which the mark of a huge number becomes one."""
    return json.dumps(value).replace(json.dumps(_HUGE_MARK), HUGE).encode()


def _changed(value, rng):
    """Changes one place in a value: each branch is as likely, so that short lists near the top are changed often."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.85:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        kind = rng.random()
        if kind < 0.08:
            del value[key]
        elif kind < 0.14 and isinstance(value, list):
            value.insert(key, value[key])
        elif kind < 0.14:
            value[rng.choice(TEXTS)] = value.pop(key)
        else:
            value[key] = _changed(value[key], rng)
        return value
    deep = []
    for _ in range(rng.choice((5, 300))):
        deep = [deep]
    others = (None, True, False, {}, [], deep, [value], {"a": value}, str(value)[:100], _HUGE_MARK)
    return rng.choice((rng.choice(NUMBERS), rng.choice(TEXTS), rng.choice(others)))


def of_header_and_data(data, rng):
    """Changes the JSON after a length of eight bytes, as safetensors has it, or the bytes that follow."""
    length = int.from_bytes(data[:8], "little")
    if length > len(data) or rng.random() < 0.2:
        return of_bytes(data, rng)
    header = of_json(data[8 : 8 + length], rng)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def of_pickle(data, rng):
    """Leaves out, repeats, exchanges or changes instructions."""
    places = []
    with contextlib.suppress(Exception):
        places += [place for *_, place in pickletools.genops(data)]
    parts = [data[start:end] for start, end in zip(places, [*places[1:], len(data)])]
    if len(parts) < 2 or rng.random() < 0.2:
        return of_bytes(data, rng)
    place, other = rng.randrange(len(parts)), rng.randrange(len(parts))
    kind = rng.randrange(4)
    if kind == 0:
        del parts[place]
    elif kind == 1:
        parts.insert(other, parts[place])
    elif kind == 2:
        parts[place], parts[other] = parts[other], parts[place]
    else:
        parts[place] = of_bytes(parts[place], rng)
    return b"".join(parts)


def of_zip(within):
    """Returns a change of an archive: of a member's content by `within`, of names, or of the archive's own bytes."""

    def change(data, rng):
        if rng.random() < 0.3:
            return of_bytes(data, rng)
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = [(each.filename, archive.read(each)) for each in archive.infolist()]
        except Exception:
            return of_bytes(data, rng)
        if members:
            place = rng.randrange(len(members))
            name, content = members[place]
            if rng.random() < 0.8:
                members[place] = name, within(content, rng)
            else:
                members[place] = rng.choice(TEXTS).encode("utf-8", "replace").decode() + name, content
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name), content)
        return stream.getvalue()

    return change


def of_png(data, rng):
    """Changes, leaves out, repeats or exchanges chunks, or pixels before they are compressed; checksums are right."""
    chunks, place = [], 8
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    if not chunks or rng.random() < 0.2:
        return of_bytes(data, rng)
    place, other, kind = rng.randrange(len(chunks)), rng.randrange(len(chunks)), rng.randrange(6)
    name, content = chunks[place]
    if kind == 0:
        del chunks[place]
    elif kind == 1:
        chunks.insert(other, chunks[place])
    elif kind == 2:
        chunks[place], chunks[other] = chunks[other], chunks[place]
    elif kind == 3:
        chunks[place] = rng.choice((b"tRNS", b"eXIf", b"tEXt", b"PLTE", b"IDAT", b"acTL", b"gAMA", b"IEND")), content
    elif name == b"IDAT":
        with contextlib.suppress(zlib.error):
            chunks[place] = name, zlib.compress(of_bytes(zlib.decompress(content), rng))
    else:
        chunks[place] = name, of_bytes(content, rng)
    return data[:8] + b"".join(map(chunk, *zip(*chunks))) if chunks else data[:8]


def chunk(name, content):
    """Returns a chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
