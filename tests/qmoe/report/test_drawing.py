from __future__ import annotations

from importlib import resources
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from qmoe.metrics import Score, mean_score
from qmoe.record import CurvePoint
from qmoe.report.curves import bands
from qmoe.report.maps import shaded
from qmoe.report.marks import marks
from qmoe.report.svg import COLOUR, Drawing
from qmoe.report.tables import WIDTH, router_rows
from qmoe.results import summary, table
from tests.qmoe.report import factory


def text(figure: Figure) -> None:
    figure.text(0.1, 0.5, 'id="x" url(#y) <b>$z$</b>', color=COLOUR["accent"])


def to_svg(*parts) -> str:
    return Drawing(*parts).__html__()


def test_drawings_take_the_colours_of_the_page_and_keep_texts_as_they_are() -> None:
    drawn = to_svg(text, (2.0, 1.0), "key", 'say "hi"')
    assert drawn.startswith('<svg class="plot" role="img" aria-label="say &quot;hi&quot;"')
    assert "fill: var(--accent)" in drawn
    assert 'id="x" url(#y) &lt;b&gt;$z$&lt;/b&gt;' in drawn.replace("&quot;", '"')
    assert "http" not in drawn
    assert "<style" not in drawn


def test_drawings_ignore_and_keep_the_readers_settings() -> None:
    before = to_svg(text, (2.0, 1.0), "key", "alt")
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path"}):
        assert to_svg(text, (2.0, 1.0), "key", "alt") == before
        assert mpl.rcParams["font.size"] == 30


def test_the_shades_of_drawings_are_the_light_scheme_of_the_page() -> None:
    sheet = resources.files("qmoe.report").joinpath("templates/page.css").read_text("utf-8")
    light = sheet[: sheet.index("@media (prefers-color-scheme: dark)")]
    for name, shade in COLOUR.items():
        assert f"--{name}: {shade};" in light
    assert len(set(COLOUR.values())) == len(COLOUR)


def test_a_pdf_is_vectors_in_the_light_scheme_and_the_same_bytes(tmp_path: Path) -> None:
    drawing = Drawing(text, (2.0, 1.0), "key", "alt")
    files = [tmp_path / "a.pdf", tmp_path / "b.pdf"]
    for file in files:
        drawing.pdf(file)
    first, second = (file.read_bytes() for file in files)
    assert first == second and first.startswith(b"%PDF")
    assert b"/Subtype /Image" not in first and b"CreationDate" not in first


def test_marks_differ_and_quantum_routers_share_the_accent() -> None:
    routers = [(f"control {i}", "mlp") for i in range(20)]
    found = marks([*routers, ("q2", "quantum"), ("q4", "quantum")])
    assert len({(m.name, m.marker) for m in found.values()}) == 22
    assert {name for name, m in found.items() if m.name == "accent"} == {"q2", "q4"}


def test_a_band_is_the_interval_and_keeps_the_last_value_of_a_seed_that_stopped() -> None:
    early = factory.record(seed=0, curve=(CurvePoint(0, 1.0, 0.5), CurvePoint(10, 0.5, 0.7)))
    late = factory.record(
        seed=1,
        curve=(CurvePoint(0, 2.0, 0.4), CurvePoint(10, 1.0, 0.6), CurvePoint(20, 0.25, 0.9)),
    )
    found = bands([early, late])
    assert found["train_loss"].steps.tolist() == [0, 10, 20]
    assert found["train_loss"].mean.tolist() == [1.5, 0.75, 0.375]
    expected = mean_score([0.7, 0.9], limits=(0.0, 1.0))
    assert found["validation_accuracy"].low[2] == pytest.approx(expected.low)
    assert found["validation_accuracy"].high[2] == expected.high == 1.0
    assert bands([factory.record(curve=())]) == {}


def test_opacity_is_the_lead_over_an_even_share() -> None:
    weights = np.array([[[1.0, 0.5, 0.2]], [[0.0, 0.5, 0.8]]])
    image = shaded(weights, 0.8)
    assert image[0, 0, 3] == pytest.approx(0.8)
    assert image[0, 1, 3] == pytest.approx(0.8 * 0.12)
    assert image[0, 0, :3] == pytest.approx(np.array([0x44, 0x77, 0xAA]) / 255)
    assert image[0, 2, :3] == pytest.approx(np.array([0xEE, 0x66, 0x77]) / 255)


def test_interval_plots_are_in_order_and_inside() -> None:
    frame = table(factory.study(5, places=factory.PLACES[:1]))
    styles = marks(zip(frame["router"], frame["family"], strict=True))
    rows, axis = router_rows(summary(frame), styles)
    assert axis is not None
    assert [row.accuracy.value for row in rows] == sorted(
        (row.accuracy.value for row in rows), reverse=True
    )
    for row in rows:
        assert isinstance(row.accuracy, Score)
        assert row.drawn is not None
        if row.router == "constant":
            assert row.drawn.off == -1
            continue
        assert row.drawn.low is not None
        assert row.drawn.high is not None
        assert 0 < row.drawn.low < row.drawn.value < row.drawn.high < WIDTH
