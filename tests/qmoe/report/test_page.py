from __future__ import annotations

import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qmoe import results
from qmoe.errors import InputError
from qmoe.evidence import evidence_of
from qmoe.report import write_report
from qmoe.report.script import script
from qmoe.report.searches import searches
from qmoe.rundir import Run
from tests.qmoe.report import factory
from tests.qmoe.test_compare import planted

SEEDS = 8
PANELS, SEARCHED, ROUTERS, MAPS = 3, 2, 4, 3
CONTROLLED = factory.PLACES[:1]

VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """The page's elements with attributes and text; fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.open: list[dict[str, str | None]] = []
        self.elements: list[dict[str, str | None]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = {**dict(attrs), "tag": tag, "text": ""}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append({**dict(attrs), "tag": tag, "text": ""})

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element["text"] = f"{element['text']}{data}"

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [
            e
            for e in self.elements
            if e["tag"] == tag and all(e.get(k) == v for k, v in attributes.items())
        ]

    @property
    def said(self) -> str:
        return " ".join(str(self.all("body")[0]["text"]).split())


def page_of(run: Run, out: Path) -> Page:
    return Page(write_report(run, out).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    routers = ("linear", "trig-product D=1", "constant", "quantum L=2")
    maps = [(name, factory.routing_map(name)) for name in routers[1:]]
    records = factory.study(SEEDS, routers, factory.PLACES)
    searched = factory.evidence(records)
    return factory.write(tmp_path_factory.mktemp("runs") / "whole", records, maps, searched)


@pytest.fixture(scope="module")
def report(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(run, tmp_path_factory.mktemp("report")).parent


@pytest.fixture(scope="module")
def page(report: Path) -> Page:
    return Page((report / "index.html").read_text(encoding="utf-8"))


def test_the_page_loads_nothing_and_runs_nothing(page: Page, report: Path) -> None:
    size = (report / "index.html").stat().st_size
    assert size < 5 * 2**20
    loads = [
        value
        for element in page.elements
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster")
        if (value := element.get(name)) is not None
    ]
    assert loads
    allowed = ("#", "data:")
    names = ("results", "summary", "comparisons")
    links = {f"{name}.{end}" for name in names for end in ("csv", "parquet")}
    assert [load for load in loads if not load.startswith(allowed) and load not in links] == []
    assert all((report / link).is_file() for link in links)
    assert re.findall(r"https?://|@import|url\((?!#)", page.text) == []
    [own] = page.all("script")  # with a hash in the policy: no other may run
    assert own["text"] == script().text
    assert [name for e in page.elements for name in e if name.startswith("on")] == []
    [policy] = [e for e in page.all("meta") if e.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy["content"]).startswith("default-src 'none'")
    assert str(policy["content"]).endswith(f"script-src {script().source}")


def test_ids_are_unique_and_every_reference_is_answered(page: Page) -> None:
    ids = [e["id"] for e in page.elements if e.get("id")]
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'(?:href="|url\()#([^")]+)', page.text))
    assert wanted <= set(ids)


def test_figures_in_the_page_equal_those_in_the_csv(page: Page, report: Path) -> None:
    for name, column in (("summary", "accuracy"), ("comparisons", "difference")):
        expected = pd.read_csv(report / f"{name}.csv", float_precision="round_trip")
        cells = [e for e in page.all("td") if "data-low" in e]
        spec = ".3f" if column == "accuracy" else "+.3f"
        wide = {
            (
                float(e["data-value"] or ""),
                float(e["data-low"] or ""),
                float(e["data-high"] or ""),
            ): e["text"]
            for e in cells
        }
        for row in expected.itertuples():
            value, low, high = (getattr(row, f"{column}{end}") for end in ("", "_low", "_high"))
            shown = str(wide[(value, low, high)]).replace("−", "-")
            shown, _, level = shown.partition("at ")
            assert not level or float(level.rstrip("\xa0%")) == 100 * row.level
            numbers = [float(v) for v in re.findall(r"[-+]?[\d.]+", shown)]
            assert numbers == [float(f"{v:{spec}}") for v in (value, low, high)]
    assert len([e for e in page.all("td") if "data-low" in e]) == PANELS * (2 * ROUTERS - 1) + 2


def test_the_csv_is_the_table_of_results(run: Run, report: Path) -> None:
    table = results.load(run)
    stored = pd.read_csv(report / "results.csv", float_precision="round_trip")
    assert list(stored.columns) == list(table.columns)
    assert np.array_equal(stored["accuracy"], table["accuracy"])
    assert np.array_equal(stored["seed"], table["seed"])


def test_every_figure_tells_what_it_shows_and_where_it_comes_from(page: Page) -> None:
    plots = page.all("svg", **{"class": "plot", "role": "img"})
    assert len(plots) == PANELS * (3 + ROUTERS) + SEARCHED + MAPS
    assert all(len(str(plot["aria-label"])) > 40 for plot in plots)
    captions = [str(e["text"]) for e in page.all("figcaption")]
    # tables of accuracy, differences, sizes and four figures; verdicts, searches; maps of one
    assert len(captions) == PANELS * (3 + 4) + 2 * SEARCHED + 1
    assert all("Run whole" in caption for caption in captions)
    assert all("exact simulation" in caption for caption in captions)
    tables = [c for c in captions if c.startswith("Table")]
    tables = [c for c in tables if "Sizes and costs" not in c]
    assert all("population: " in caption for caption in tables)
    assert sum("quantum L=2: 5, accuracy" in str(p["aria-label"]) for p in plots) == 3


def test_the_first_screen_answers_with_a_verdict_and_its_reason(page: Page) -> None:
    first = str(page.all("div", **{"class": "verdict"})[0]["text"])
    assert "moons noise=0.1 · controlled protocol · accuracy on held-out test" in first
    assert "has the highest mean accuracy" in first
    assert "against the best control, chosen on validation per seed: " in first
    assert "Inconclusive (n too small): 8 pairs, where 'new data + new init' needs 30." in first
    assert "8 paired seeds; population: new data + new init; exact simulation" in first
    assert "12 trials per router and seed." in first
    assert "Nothing here ran on quantum hardware." in page.said
    assert "a margin of ±0.01 accuracy" in page.said
    words = [str(e["text"]) for e in page.all("strong")]
    assert words.count("inconclusive (n too small)") == 2
    assert words.count("untuned") == 3  # the pairs of the notebook protocol
    assert "Untuned: no test part was held out." in page.said


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (0.03, "Better: the 95 % interval [+0.0"),
        (-0.03, "Worse: the 95 % interval [−0.0"),
        (0.0, "Equivalent: the 90 % interval [−0.00"),
    ],
)
def test_a_verdict_has_its_word_and_its_reason(
    tmp_path: Path, difference: float, words: str
) -> None:
    records = planted({"quantum a": difference})
    page = page_of(factory.write(tmp_path / "run", records), tmp_path / "out")
    [judged] = page.all("p", **{"class": "judged"})
    assert str(judged["text"]).startswith("quantum a against the best control, chosen on valid")
    assert words in str(judged["text"])
    word = words.partition(":")[0]
    [cell] = [e for e in page.all("td") if str(e["text"]).startswith(word.lower())]
    assert words.partition(" interval")[2] in str(cell["text"])
    assert "Untuned: without" not in page.said


@pytest.mark.parametrize(
    ("trials", "reason"),
    [
        (dict.fromkeys(("linear", "mlp", "quantum a"), 2), "2 trials were searched per router"),
        ({"linear": 24}, "unequal search budgets, from 12 to 24 trials per router"),
    ],
)
def test_without_equal_budgets_no_verdict_word_is_used(
    tmp_path: Path, trials: dict[str, int], reason: str
) -> None:
    records = planted({"quantum a": 0.03}, trials)
    page = page_of(factory.write(tmp_path / "run", records), tmp_path / "out")
    assert f"Untuned: {reason}" in page.said
    # the glossary explains every word
    said = page.said.partition("Reading this page Interval")[0]
    said = said.replace("none is called better or worse", "")
    for word in ("better", "worse", "equivalent", "significant", "outperform", "advantage"):
        assert word not in said.lower()


def test_sizes_and_costs(tmp_path: Path) -> None:
    records = factory.study(2, ("linear", "quantum L=2"), CONTROLLED)
    page = page_of(factory.write(tmp_path / "run", records), tmp_path / "out")
    heads = [str(e["text"]) for e in page.all("th", scope="col")]
    assert "Multiply-addsmodel" in heads
    assert not any(head.startswith("Frozen") for head in heads)
    costs = {"accuracy_test": 0.9, "frozen_numbers": 96.0, "multiply_adds": 1064.0, "circuits": 0.0}
    frozen = [factory.record("RFF", s, family="random-fourier", metrics=costs) for s in range(2)]
    page = page_of(factory.write(tmp_path / "more", [*records, *frozen]), tmp_path / "again")
    text = page.text.partition('<table class="sizes"')[2].partition("</table>")[0]
    rows = [re.findall(r'<td class="n"[^>]*>(.*?)</td>', row) for row in text.split("<tr")[2:]]
    # parameters as the paper counts them, of router, of model; frozen; multiply-adds; circuits
    assert ["4", "5", "29", "0", "64", "1"] in rows
    assert ["12", "12", "36", "0", "120", "0"] in rows
    assert ["4", "5", "29", "96", "1,064", "0"] in rows


def test_a_record_without_costs_shows_none(tmp_path: Path) -> None:
    records = [factory.record("linear", 0, metrics={"accuracy_test": 0.5}, curve=())]
    page = page_of(factory.write(tmp_path / "run", records), tmp_path / "out")
    assert [e["text"] for e in page.all("td", **{"class": "n"})][-2:] == ["–", "–"]


def test_searches_are_drawn_where_there_were_any(page: Page) -> None:
    plots = [str(e["aria-label"]) for e in page.all("svg") if "Expected best" in str(e)]
    assert len(plots) == SEARCHED
    assert all(re.search(r"linear: 0\.\d+ with 1 trial, 0\.\d+ with 12;", plot) for plot in plots)
    notebook = str(page.all("section", **{"class": "protocol"})[1]["text"])
    assert "Expected best" not in notebook


def test_searches_are_the_trials_of_the_evidence_by_group(tmp_path: Path) -> None:
    records = [
        r
        for experts in (2, 4)
        for r in factory.study(3, ("linear", "quantum L=2"), CONTROLLED, experts=experts)
    ]
    evidence = factory.evidence(records)
    # one cell reuses another one's choice, so that it has one trial of each seed
    reused = evidence.results[0]
    alone = tuple(
        tuple(v if t == reused.chosen[i] else None for i, v in enumerate(row))
        for t, row in enumerate(reused.validation_correct)
    )
    results = (
        reused.model_copy(update={"validation_correct": alone}),
        *evidence.results[1:],
    )
    run = factory.write(
        tmp_path / "run", records, (), evidence.model_copy(update={"results": results})
    )
    found = searches(evidence_of(run))
    assert sum(len(group) for group in found.values()) == 3
    for result in results[1:]:
        place = ("ablation", "controlled", result.dataset, result.population, "exact")
        values = found[(*place, result.experts)][result.router]
        assert values.shape == (12, 3)
        assert np.array_equal(values * 250, result.validation_correct)
    assert searches(evidence_of(factory.write(tmp_path / "bare", records))) == {}


def test_the_efficiency_study_gets_its_table_of_eta_and_no_other(tmp_path: Path) -> None:
    names = ("linear", "quantum L=2", "constant")
    records = factory.study(3, names, CONTROLLED, study="efficiency")
    searched = factory.evidence(records)
    run = factory.write(tmp_path / "run", records, (), searched)
    page = page_of(run, tmp_path / "out")
    assert "eta.csv" in page.said
    etas = pd.read_csv(tmp_path / "out" / "eta.csv")
    assert set(etas["router"]) == set(names)
    readings = etas.groupby(["numerator", "counted", "base"])
    assert len(readings) == 2 * 3 * 3
    plain = etas[(etas["numerator"] == "accuracy") & (etas["base"] == "e")]
    known = plain.dropna(subset=["eta"])
    for _, row in known.iterrows():
        (cell,) = (r for r in searched.results if r.router == row["router"])
        wanted = cell.accuracy.mean() / np.log1p(row["parameters"])
        assert row["eta"] == pytest.approx(wanted, rel=1e-12)
    others = factory.study(3, names, CONTROLLED)
    run = factory.write(tmp_path / "other", others, (), factory.evidence(others))
    assert "eta.csv" not in page_of(run, tmp_path / "else").said
    assert not (tmp_path / "else" / "eta.csv").exists()


def test_maps_go_to_the_group_with_their_number_of_experts(tmp_path: Path) -> None:
    records = [r for e in (2, 4) for r in factory.study(2, ("linear",), CONTROLLED, experts=e)]
    maps = [("linear", factory.routing_map("linear", experts=4))]
    page = page_of(factory.write(tmp_path / "run", records, maps), tmp_path / "out")
    assert page.said.count("Decision boundaries and gate maps.") == 1
    four = page.text.index("<h3>moons noise=0.1, 4 experts</h3>")
    assert page.text.index("Decision boundaries") > four


def test_damaged_evidence_is_one_clear_line(tmp_path: Path) -> None:
    run = factory.write(tmp_path / "run", [factory.record(curve=())])
    (run.path / "evidence.json.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="evidence"):
        write_report(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_many_groups_get_an_index(tmp_path: Path) -> None:
    routers = (*factory.NAMES, *(f"quantum L={n}" for n in (3, 4, 6, 8, 12)))
    records = [
        r
        for experts in (1, 2, 4, 8)
        for r in factory.study(
            2, routers, CONTROLLED, experts=experts, trials=12 if experts in (2, 4) else 0
        )
    ]
    page = page_of(factory.write(tmp_path / "run", records), tmp_path / "out")
    links = [e for e in page.all("a") if str(e["href"]).startswith("#s1-")]
    groups = [f"moons noise=0.1, {e}" for e in ("1 expert", "2 experts", "4 experts", "8 experts")]
    assert [str(e["text"]) for e in links] == groups
    assert [str(e["text"]) for e in page.all("h3")] == groups
    assert "12 inconclusive (n too small), 12 untuned." in str(
        page.all("p", **{"class": "tally"})[0]["text"]
    )
    assert "reuses a choice made elsewhere" in page.said
    assert [e["text"] for e in page.all("td", **{"class": "n"})].count("reused") == 2 * len(routers)
    # thirteen routers: their curves and loads are left out, and their pairs are folded
    assert "Learning curves." not in page.said
    assert "drawn for groups of at most 12 routers" in page.said
    assert [e.get("open", "closed") for e in page.all("details")] == ["closed"] * 4


def test_protocols_stand_apart_with_the_reason(page: Page) -> None:
    sections = page.all("section", **{"class": "protocol"})
    assert len(sections) == 2
    controlled, notebook = (str(e["text"]) for e in sections)
    assert "never ranked with held-out ones" in notebook
    assert "training data" not in controlled
    assert "held-out test" not in notebook
    assert "best control" not in notebook
    assert len(page.all("table", **{"class": "accuracy"})) == 3


def test_provenance_is_on_the_page(page: Page) -> None:
    for text in (
        "qmoe run quick --seed 0",
        factory.PROVENANCE.commit,
        "Linux x86_64, 1 thread",
        "Python 3.11.2, numpy 2.2.6, scikit-learn 1.9.1, scipy 1.17.1, torch 2.13.0",
        f"sha256:{42:064x}",
        "8 digests",
        "learning rate",
    ):
        assert str(text) in page.said


def test_equal_runs_give_equal_files(run: Run, report: Path, tmp_path: Path) -> None:
    write_report(run, tmp_path)
    for path in report.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


EVIL = "<script>alert(1)</script>\"'&$\\frac{x}$ url(#a) {{ 7 * 7 }}"


def test_names_that_look_like_markup_are_text(tmp_path: Path) -> None:
    records = [
        factory.record(
            router,
            seed,
            dataset=f"{EVIL} data",
            study=EVIL,
            settings={EVIL: EVIL},
            warnings=(EVIL,),
            dataset_digest=EVIL,
        )
        for router in (EVIL, "linear", "quantum L=2")
        for seed in range(2)
    ]
    maps = [(EVIL, factory.routing_map(EVIL, dataset=f"{EVIL} data"))]
    page = page_of(factory.write(tmp_path / "run", records, maps), tmp_path / "out")
    assert [e["text"] for e in page.all("script")] == [script().text]
    assert page.text.count("<script") == 1
    assert EVIL in page.said
    assert any(EVIL in str(e.get("aria-label")) for e in page.elements)
    assert "7 * 7" in page.said


def test_a_router_far_off_the_others_becomes_an_arrow(page: Page) -> None:
    assert "↓ 0.88" in page.said
    assert '<path d="M0 10l7 -4.5v9z"' in page.text


def test_one_seed_has_no_interval_and_says_so(tmp_path: Path) -> None:
    run = factory.write(tmp_path / "run", factory.study(1, ("linear", "quantum L=2")))
    page = page_of(run, tmp_path / "out")
    assert "one seed, so no interval" in page.said
    assert "no interval" in str(page.all("td")[0]["text"])
    assert "1 paired seed;" in page.said
    assert re.findall(r"\bnan\b", page.said) == []


def test_no_quantum_router(tmp_path: Path) -> None:
    records = factory.study(3, ("linear", "constant"), CONTROLLED)
    page = page_of(factory.write(tmp_path / "run", records), tmp_path / "out")
    assert "There is no quantum router here to compare it with." in page.said
    assert page.all("table", **{"class": "differences"}) == []


def test_no_control(tmp_path: Path) -> None:
    records = factory.study(3, ("quantum L=2", "quantum L=4"), CONTROLLED)
    page = page_of(factory.write(tmp_path / "run", records), tmp_path / "out")
    assert "There is no control here to compare it with." in page.said
    assert page.all("table", **{"class": "differences"}) == []


def test_the_quantum_router_in_front(tmp_path: Path) -> None:
    records = factory.study(4, ("quantum L=2", "constant"), CONTROLLED)
    page = page_of(factory.write(tmp_path / "run", records), tmp_path / "out")
    line = str(page.all("p", **{"class": "line"})[0]["text"])
    assert line.startswith("quantum L=2 has the highest mean accuracy")
    assert "reaches" not in line
    judged = str(page.all("p", **{"class": "judged"})[0]["text"])
    assert judged.startswith("quantum L=2 against the best control, chosen on validation per seed")


def test_a_single_class_and_a_single_expert(tmp_path: Path) -> None:
    records = [
        factory.record("quantum L=2", seed, experts=1, metrics={"accuracy_test": 1.0})
        for seed in range(3)
    ]
    routing = factory.routing_map(classes=1, experts=1)
    run = factory.write(tmp_path / "run", records, [("quantum L=2", routing)])
    page = page_of(run, tmp_path / "out")
    assert "1.000 [1.000,\xa01.000]".replace("\xa0", " ") in page.said.replace("\xa0", " ")
    assert any("expert 1 100%" in str(e.get("aria-label")) for e in page.all("svg"))


def test_three_classes_without_validation_or_curves_or_loads(tmp_path: Path) -> None:
    records = [
        factory.record(
            router, seed, experts=5, curve=(), expert_load=(), metrics={"accuracy_test": 0.5}
        )
        for router in ("linear", "quantum L=2")
        for seed in range(3)
    ]
    routing = factory.routing_map(classes=3, experts=5)
    run = factory.write(tmp_path / "run", records, [("quantum L=2", routing)])
    page = page_of(run, tmp_path / "out")
    assert "against linear" in page.said
    assert "Learning curves" not in page.said
    assert "best control, chosen" not in page.said


def test_seeds_that_failed_are_counted(tmp_path: Path) -> None:
    records = factory.study(3, ("linear", "quantum L=2"), CONTROLLED)
    records[0] = factory.record("linear", 0, metrics={}, curve=(), warnings=("loss is nan",))
    page = page_of(factory.write(tmp_path / "run", records), tmp_path / "out")
    assert "2 (1 failed)" in page.said
    assert "1 of 6 models: loss is nan" in page.said


def test_no_accuracy_at_all(tmp_path: Path) -> None:
    records = [factory.record("linear", 0, metrics={}, curve=())]
    page = page_of(factory.write(tmp_path / "run", records), tmp_path / "out")
    assert "No router has an accuracy here." in page.said
    assert math.isnan(float(page.all("td")[0]["data-value"] or ""))


def test_an_empty_run_is_one_clear_line_and_leaves_nothing(tmp_path: Path) -> None:
    run = factory.write(tmp_path / "run", [])
    with pytest.raises(InputError, match="got run run without records"):
        write_report(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    run = factory.write(tmp_path / "run", [factory.record(curve=())])
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can be written"):
        write_report(run, tmp_path / "file")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
@pytest.mark.parametrize("width", [500, 1600])
def test_a_browser_lays_it_out_without_overflow(report: Path, tmp_path: Path, width: int) -> None:
    # The copy alone has a script: it writes what the layout came to into the title.
    text = (report / "index.html").read_text(encoding="utf-8")
    text = re.sub(r"<meta http-equiv=[^>]*>", "", text)
    probe = (
        "<script>document.title = [document.documentElement.scrollWidth <= innerWidth,"
        " [...document.querySelectorAll('svg.plot')].filter("
        "s => s.getBoundingClientRect().width < 200).length].join(' ')</script>"
    )
    copy = tmp_path / "copy.html"
    copy.write_text(text.replace("</body>", f"{probe}</body>"), encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-sync"
    more = "--disable-background-networking --disable-component-update --hide-scrollbars"
    command = ["chromium", *flags.split(), *more.split(), f"--user-data-dir={tmp_path / 'home'}"]
    shown = subprocess.run(
        [*command, f"--window-size={width},1200", "--dump-dom", copy.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "<title>true 0</title>" in shown.stdout
