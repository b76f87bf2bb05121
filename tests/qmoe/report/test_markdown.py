"""Markdown: whatever a cell holds shows as that text, by a parser that others wrote."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from qmoe.report.markdown import escaped, markdown, table_of
from qmoe.report.rich_tables import visible
from qmoe.report.shown import Column, Shown
from tests.qmoe.report.hostile import TEXTS

MARKS = "\\`*_{}[]()<>#+-.!|&~$@:/ \n\tabc1w;="
TEXT = st.one_of(
    st.text(MARKS, max_size=30), st.text(max_size=20), st.sampled_from(TEXTS), st.just("")
)
PLAIN = {"text", "softbreak"}


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def told(token: Token) -> str:
    """The text of an inline token, which must hold nothing but text."""
    children = token.children or []
    assert {child.type for child in children} <= PLAIN, [child.type for child in children]
    return "".join(child.content for child in children).strip()


def shown(text: str) -> str:
    """What is to be seen of a text: a parser strips cells and lines, this one of any space."""
    return visible(text).strip()


def table(*rows: tuple[str, ...], head: tuple[str, ...] = ("a", "b")) -> Shown:
    return Shown("key", "title", "", tuple(Column(name) for name in head), rows, "")


@given(TEXT, TEXT, TEXT)
@example("`a", "b`", "x|y")
@example("\\", "\\|", "|")
@example("http://a.example", "www.a.example", "&lt;")
def test_every_cell_shows_its_text(head: str, one: str, two: str) -> None:
    tokens = parsed(table_of(table((one, two), (two, one), head=(head, "b"))))
    assert tokens[0].type == "table_open" and tokens[-1].type == "table_close"
    cells = [told(token) for token in tokens if token.type == "inline"]
    assert cells == [shown(text) for text in (head, "b", one, two, two, one)]


@given(TEXT)
@example("1. one")
@example("- one")
@example("+ one")
@example("=====")
@example("    code")
@example("```")
@example("[a]: http://a.example")
def test_every_line_is_a_paragraph_of_its_text(text: str) -> None:
    tokens = parsed(markdown(text, [text], [table(("1", "2"))]))
    kinds = [token.type for token in tokens if token.nesting == 1]
    lines = [told(token) for token in tokens if token.type == "inline"]
    wanted = shown(text)
    if not wanted:
        return
    assert kinds[:2] == ["heading_open", "paragraph_open"]
    assert lines[:2] == [wanted, wanted]


@given(TEXT)
def test_no_html_comes_out_of_a_text(text: str) -> None:
    made = MarkdownIt("commonmark").renderInline(escaped(text))
    assert "<" not in made


def test_figures_stand_on_the_right_where_their_column_says_so() -> None:
    made = Shown("k", "t", "", (Column("a"), Column("b", "s", right=True)), (("x", "1"),), "")
    assert table_of(made).splitlines() == ["| a | b s |", "|:---|---:|", "| x | 1 |"]


def test_a_document_has_every_table_with_its_note_and_source() -> None:
    made = Shown("k", "Title", "A note.", (Column("a"),), (("x",),), "exact simulation")
    text = markdown("Report", ["One line."], [made])
    assert text == (
        "# Report\n\nOne line.\n\n## Title\n\nA note.\n\n| a |\n|:---|\n| x |\n\n"
        "Source: exact simulation.\n"
    )
