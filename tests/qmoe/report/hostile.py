"""Texts that try to be more than text, for every rendering of a report."""

from __future__ import annotations

TEXTS = (
    r"\input{/etc/passwd} \write18{ls} \end{document}",
    "50% & a_b # ^ ~ { } $x$ {",
    "[b]*starts a row* | pipe || `code` ```",
    "<script>alert(1)</script> &amp; &#60; <!-- x -->",
    "![x](http://a.example/y.png) [a]: http://a.example www.a.example a@b.example",
    "-- --- ,, << >> '' `` ?` !` \"quoted\" fi ffl",
    "# 1. - + = > 12) ~~gone~~ __bold__ **bold** \\*",
    "two\nlines\ttab\r\x1b[2J\u202etxt\u2028",
    "naïve Łódź ½ µ λ Σ √ ± − – … × · “x” ’ \xa0 日本語 🎉 e\u0301",
    "a" * 120,
)
