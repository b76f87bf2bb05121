"""A drawing's PDF at another width, without drawing it anew: texts and lines scale alike."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PAGE = re.compile(rb"(\d+) 0 obj\n(<<[^>]*?/Type /Page\b.*?)\nendobj", re.DOTALL)
_BOX = re.compile(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]")
_CONTENTS = re.compile(rb"/Contents (\d+ 0 R)")
_END = re.compile(rb"trailer\n<<(.*?)>>\nstartxref\n(\d+)\n%%EOF\n?\Z", re.DOTALL)
_SIZE = re.compile(rb"/Size (\d+)")


def at_width(data: bytes, width: float) -> bytes:
    """A PDF of one page, as matplotlib writes it, scaled to a width in points.

    It is an incremental update (ISO 32000-1, 7.5.6): the old file as it is, then the page with
    its new box, and a scaling that stands before the page's own content.

    Raises:
        ValueError: It is not such a file.
    """
    page, end = _PAGE.search(data), _END.search(data)
    box = page and _BOX.search(page.group(2))
    size = end and _SIZE.search(end.group(1))
    if not (page and end and box and size and _CONTENTS.search(page.group(2))):
        raise ValueError("got other bytes; expected a PDF of one page as matplotlib writes it")
    scale = width / float(box.group(1))
    new = int(size.group(1))
    told = b"%.6f 0 0 %.6f 0 0 cm" % (scale, scale)
    height = scale * float(box.group(2))
    changed = _BOX.sub(b"/MediaBox [ 0 0 %.3f %.3f ]" % (width, height), page.group(2))
    changed = _CONTENTS.sub(rb"/Contents [ %d 0 R \1 ]" % new, changed)
    stream = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(told), told)
    trailer = _SIZE.sub(b"/Size %d" % (new + 1), end.group(1))
    return _updated(data, {int(page.group(1)): changed, new: stream}, trailer, end.group(2))


def _updated(data: bytes, objects: Mapping[int, bytes], trailer: bytes, previous: bytes) -> bytes:
    out, table = data if data.endswith(b"\n") else data + b"\n", b""
    for number, content in objects.items():
        table += b"%d 1\n%010d 00000 n \n" % (number, len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    ending = b"trailer\n<<%s/Prev %s >>\nstartxref\n%d\n%%%%EOF\n" % (trailer, previous, start)
    return out + b"xref\n" + table + ending
