"""The files for a paper: they compile, show every text as it is, and are equal for equal runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from qmoe.errors import InputError
from qmoe.report.bibliography import UsedTarget, bibtex, entries
from qmoe.report.content import Content, gather
from qmoe.report.latex import HIGHEST, booktabs, escaped
from qmoe.report.methods import methods
from qmoe.report.paper import COLUMN, MAIN, Paper, write_paper
from qmoe.report.pdf import at_width
from qmoe.report.rich_tables import visible
from qmoe.report.shown import Column, Shown, tables_of
from qmoe.report.svg import COLOUR, Drawing
from tests.qmoe.report import factory
from tests.qmoe.report.hostile import TEXTS
from tests.qmoe.report.test_targets import PARTS, evidence, part

LATEX = shutil.which("pdflatex")
with_latex = pytest.mark.skipif(
    LATEX is None, reason="no pdflatex (Debian: texlive-latex-base, texlive-latex-recommended)"
)
READ = re.compile(
    r"(\\text[a-z]+\{\}|\\(?:dots|allowbreak)\{\}|\\[$&#%_]|\{[\[\]*]\}|\$[^$]*\$|~|\{\}|.)",
    re.DOTALL,
)
MEANS = {
    **{r"\textbackslash{}": "\\", r"\textbraceleft{}": "{", r"\textbraceright{}": "}"},
    **{r"\textasciicircum{}": "^", r"\textasciitilde{}": "~", r"\textless{}": "<"},
    **{r"\textgreater{}": ">", r"\textbar{}": "|", r"\textquotedbl{}": '"'},
    **{r"\textquotesingle{}": "'", r"\textasciigrave{}": "`", "{[}": "[", "{]}": "]"},
    **{"{*}": "*", "~": "\xa0", "$-$": "−", r"$\pm$": "±", r"$\times$": "×", r"$\div$": "÷"},
    **{r"$\surd$": "√", r"$\Sigma$": "Σ", r"$\lambda$": "λ", r"\textdegree{}": "°"},
    **{r"\textperiodcentered{}": "·", r"\textendash{}": "–", r"\textemdash{}": "—"},
    **{r"\dots{}": "…", r"\textquoteleft{}": "‘", r"\textquoteright{}": "’"},
    **{r"\textquotedblleft{}": "“", r"\textquotedblright{}": "”", "{}": ""},
    r"\allowbreak{}": "",
    **{f"\\{mark}": mark for mark in "$&#%_"},
}


def read(latex: str) -> str:
    """What LaTeX shows of an escaped text; what stands for itself may be no active character."""
    found = []
    for piece in READ.findall(latex):
        assert len(piece) > 1 or piece == "~" or piece not in "\\{}$&#%_^", (piece, latex)
        found.append(MEANS[piece] if len(piece) > 1 or piece == "~" else piece)
    return "".join(found)


def decoded(text: str) -> str:
    """A text with the characters in place of their codes."""
    return re.sub(r"\[U\+([0-9A-F]{4,6})\]", lambda m: chr(int(m.group(1), 16)), text)


@given(
    st.one_of(
        st.text(max_size=30),
        st.text("ab-", max_size=99),
        st.text("\\{}$&#%_^~<>|\"'`[]*-,?!\n ", max_size=30),
    )
)
def test_an_escaped_text_reads_as_it_was(text: str) -> None:
    latex = escaped(text)
    plain = unicodedata.normalize("NFC", visible(text))
    assert decoded(read(latex)) == decoded(plain)
    assert not re.search(r"--|,,|\?`|!`|''|``", latex)
    assert latex.count("{") == latex.count("}")  # BibTeX counts no backslash


def test_a_long_table_goes_on_in_another_of_equal_columns() -> None:
    rows = tuple((f"{i}", "x") for i in range(HIGHEST + 3))
    text = booktabs(Shown("k", "T", "N.", (Column("a"), Column("b", right=True)), rows, "exact"))
    assert text.count(r"\begin{tabular}{@{}lr@{}}") == 2
    assert [text.count(rf"\label{{tab:k{end}}}") for end in ("", "-2")] == [1, 1]
    assert text.count(r"x \\") == len(rows)


def test_a_scaled_pdf_is_the_old_one_with_another_page_on_top(tmp_path: Path) -> None:
    path = tmp_path / "k.pdf"
    Drawing(lambda figure: None, (4.4, 2.2), "k", "nothing").pdf(path)
    data = path.read_bytes()
    scaled = at_width(data, 244.8)
    assert scaled.startswith(data)
    assert b"/MediaBox [ 0 0 244.800 122.400 ]" in scaled[len(data) :]
    start = int(re.findall(rb"startxref\n(\d+)", scaled)[-1])
    assert scaled[start : start + 5] == b"xref\n"
    for number, place in re.findall(rb"(\d+) 1\n(\d{10}) 00000 n", scaled[start:]):
        assert scaled[int(place) :].startswith(number + b" 0 obj")
    with pytest.raises(ValueError, match="PDF"):
        at_width(b"%PDF-1.4 something", 244.8)


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> Content:
    folder: Path = tmp_path_factory.mktemp("paper")
    records = factory.study(2, factory.NAMES[-2:], factory.PLACES[::2])
    own, asked = factory.evidence(records), evidence()
    both = own.model_copy(
        update={"figures": asked.figures, "studies": {**own.studies, **asked.studies}}
    )
    return gather([factory.write(folder / "run", records, (), both)])


def test_a_paper_has_every_table_and_figure_and_is_equal_for_equal_runs(
    content: Content, tmp_path: Path
) -> None:
    paths = write_paper(content, tmp_path / "a")
    names = [str(path.relative_to(tmp_path / "a")) for path in paths]
    for table in tables_of(content):
        assert f"tables/{table.key}.tex" in names
    main = (tmp_path / "a" / MAIN).read_text()
    for name in names:
        if name.startswith(("tables", "figures")):
            assert name.removesuffix(".tex") in main
    assert sum(name.endswith(".pdf") for name in names) >= 6
    (tmp_path / "b").mkdir()
    for name in ("own.tex", MAIN):
        (tmp_path / "b" / name).write_text("mine")
    for one, other in zip(paths, write_paper(content, tmp_path / "b"), strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
    assert (tmp_path / "b" / "own.tex").read_text() == "mine"


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    content = gather([factory.write(tmp_path / "run", (), (), evidence())])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="folder"):
        write_paper(content, tmp_path / "file")


def test_two_tables_of_one_key_are_refused() -> None:
    table = Shown("k", "T", "", (Column("a"),), (("x",),), "")
    with pytest.raises(ValueError, match="one key"):
        Paper("t", (table, table), (), "", (), ()).files()


def test_methods_say_what_is_known_and_that_no_device_ran(content: Content) -> None:
    text = methods(content)
    for known in (
        "moons noise=0.1 and moons noise=0.2",
        "2 seeds",
        "population new data + new init",
        "12 trials per router and seed",
        "Nothing ran on a quantum device",
        "ibm:fake_boston (simulated device snapshot)",
        "Not run: braket:emulator.",
        factory.PROVENANCE.commit or "",
        "root seed 0",
        "numpy 2.2.6",
    ):
        assert known in text
    assert not re.search(r"\bNone\b|\bnan\b|, ,|: \.|\(\)|\(, |; ;|  ", text)
    # two seeds are too few for a word that a test gives, so there is no rule to tell
    assert "Holm" not in text


def test_methods_name_the_device_and_leave_out_what_is_not_known(tmp_path: Path) -> None:
    bare = factory.PROVENANCE.model_copy(
        update={"commit": None, "dirty": None, "threads": None, "versions": {}}
    )
    asked = evidence((PARTS[0], part("ibm:boston", 0.9, source="device")))
    run = factory.write(tmp_path / "run", (), (), asked.model_copy(update={"provenance": bare}))
    text = methods(gather([run]))
    assert "measured on quantum hardware (ibm:boston)" in text
    assert "other figures are of exact simulation" in text
    assert "calibration" not in text and "Nothing ran" not in text


def test_methods_tell_the_rule_where_it_was_applied(tmp_path: Path) -> None:
    records = factory.study(30, ("linear", "quantum L=2"), factory.PLACES[:1])
    text = methods(gather([factory.write(tmp_path / "run", records)]))
    assert "Holm's correction" in text and "±0.01" in text


def test_the_bibliography_has_what_was_used_under_safe_keys() -> None:
    versions = {"torch": "2.13.0", "qiskit": "2.1", "cirq-core": "1.6", "od}d{ name": "1"}
    provenance = factory.PROVENANCE.model_copy(update={"versions": versions})
    older = provenance.model_copy(update={"versions": {"torch": "2.12.0"}})
    targets = (
        UsedTarget("ibm:fake_boston", "snapshot", "2025-01-02"),
        UsedTarget("IBM:fake-boston", "device"),
    )
    found = entries((provenance, older), targets)
    assert [entry.key for entry in found] == [
        *("qmoe", "torch", "qiskit", "cirq-core", "od-d-name"),
        *("target-ibm-fake-boston", "target-ibm-fake-boston-2"),
    ]
    text = bibtex(found)
    assert "torch versions 2.13.0, 2.12.0; arXiv:1912.01703" in text
    assert "eprint = {2405.08810}" in text and "eprint = {2512.22296}" in text
    assert "Simulated device snapshot; calibration of 2025-01-02" in text
    assert "{Quantum hardware}" in text
    for entry in text.split("@")[1:]:
        assert entry.count("{") == entry.count("}")


def compiled(folder: Path) -> str:
    """The text of the document in a folder, which has to compile; "" without a reader of PDFs."""
    assert LATEX is not None
    options = ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
    steps = [[LATEX, *options, "main"]] * 2
    if bibtex_ := shutil.which("bibtex"):
        steps = [steps[0], [bibtex_, "main"], *steps]
    for step in steps:
        done = subprocess.run(step, cwd=folder, capture_output=True, timeout=120, check=False)
        output = done.stdout.decode(errors="replace")
        assert done.returncode == 0, output[-2000:]
        assert "Warning--" not in output
    log = (folder / "main.log").read_text(errors="replace")
    assert "Missing character" not in log
    assert "undefined references" not in log or bibtex_ is None
    reader = shutil.which("pdftotext")
    if reader is None:
        return ""
    done = subprocess.run(
        [reader, "-raw", "main.pdf", "-"], cwd=folder, capture_output=True, timeout=60, check=True
    )
    return done.stdout.decode()


@with_latex
def test_a_paper_compiles_with_figures_as_wide_as_a_column(
    content: Content, tmp_path: Path
) -> None:
    write_paper(content, tmp_path)
    text = compiled(tmp_path)
    log = (tmp_path / "main.log").read_text(errors="replace").replace("\n", "")
    sizes = re.findall(r"figures/[\w-]+\.pdf, id=\d+, ([\d.]+)pt x", log)
    assert sizes and {round(float(size) / 72.27, 3) for size in sizes} == {COLUMN}
    assert not text or "Nothingranonaquantumdevice" in squeezed(text.replace("-\n", ""))


@with_latex
def test_hostile_texts_are_shown_as_they_are(tmp_path: Path) -> None:
    every = "".join(map(chr, (*range(0x21, 0x7F), *range(0xA1, 0x180))))
    letters = tuple(every[start : start + 20] for start in range(0, len(every), 20))
    rows = tuple((f"row{i}", text) for i, text in enumerate((*TEXTS, *letters)))
    rows += tuple((text, "1") for text in TEXTS)
    head = (Column(TEXTS[1]), Column(TEXTS[2], TEXTS[0], right=True))
    table = Shown("hostile", TEXTS[0], TEXTS[2], head, rows, TEXTS[3])

    def draw(figure: Figure) -> None:
        figure.text(0.1, 0.5, TEXTS[1], color=COLOUR["ink"])

    found = Paper(
        TEXTS[1],
        (table,),
        (Drawing(draw, (3.4, 1.0), "hostile", "; ".join(TEXTS)),),
        " ".join(TEXTS),
        entries(
            [factory.PROVENANCE.model_copy(update={"versions": dict.fromkeys(TEXTS, "1{_%")})],
            [UsedTarget(text, text, text) for text in TEXTS],
        ),
        TEXTS,
    )
    for name, data in found.files().items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    text = compiled(tmp_path)
    if text:
        told = squeezed(text)
        for wanted in (*TEXTS, *letters):
            # LaTeX sets the accents of some letters apart
            if max(map(ord, wanted)) < 0x100 or wanted in TEXTS:
                assert squeezed(read(escaped(wanted))) in told


def squeezed(text: str) -> str:
    """Without spaces, which a reader of PDFs sets as it likes, and ligatures."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))
