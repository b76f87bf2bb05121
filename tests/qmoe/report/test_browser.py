"""The page in a real browser: nothing fails, everything is seen, tables sort and filter."""

from __future__ import annotations

import re

import pytest

from qmoe.evidence import Evidence
from qmoe.report import write_report
from qmoe.report.script import script
from tests.browser.pages import browser, opened
from tests.qmoe.report import (
    factory,
    test_device,
    test_noise,
    test_sensitivity,
    test_shown,
    test_targets,
    test_volumetric,
)
from tests.qmoe.report.hostile import TEXTS

pytestmark = pytest.mark.xdist_group("browser")

HOSTILE = (
    *TEXTS,
    '"><img src=x onerror=alert(1)>',
    "</style><h1>out</h1></script>",
    "$\\int_0^1$ {{ 7*7 }} {% raise %}",
    "'; DROP TABLE runs; --",
)


@pytest.fixture(scope="module")
def chrome():
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with every section that there is."""
    folder = tmp_path_factory.mktemp("browser")
    records = factory.study(2)
    found = together(
        factory.evidence(records),
        test_targets.evidence(),
        test_noise.WHOLE,
        test_device.evidence(),
        test_sensitivity.evidence(),
        test_volumetric.evidence(*test_volumetric.PARTS),
        hardware(test_shown.experiment("a", "device"), test_shown.experiment("b", "loopback")),
    )
    maps = [(name, factory.routing_map(name)) for name in factory.NAMES[-2:]]
    run = factory.write(folder / "run", records, maps, found)
    return write_report(run, folder / "report")


def together(*found):
    """One evidence with what each has."""
    return Evidence(
        provenance=factory.PROVENANCE,
        results=tuple(one for each in found for one in each.results),
        figures=tuple(one for each in found for one in each.figures),
        studies={name: keys for each in found for name, keys in each.studies.items()},
    )


def hardware(*parts):
    return Evidence(
        provenance=factory.PROVENANCE,
        figures=parts,
        studies={"hardware": tuple(part.key for part in parts)},
    )


SECTIONS = ("targets-1", "volumetric", "hardware", "noise", "devices", "sensitivity", "terms")


VIEWS = [(400, "light"), (400, "dark"), (1600, "light"), (1600, "dark")]


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_nothing_fails_and_everything_is_seen(chrome, page, width, scheme):
    with opened(chrome, page, width=width, scheme=scheme) as found:
        assert (found.said, found.asked) == ([], [])
        assert all(found.page.locator(f"#{key}").count() == 1 for key in SECTIONS)
        wide = found.page.evaluate(
            "() => [document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert wide[0] <= wide[1]  # only tables scroll sideways
        boxes = found.page.evaluate(
            "() => [...document.querySelectorAll('svg.plot, figure')].filter(e => "
            "!e.closest('details:not([open])')).map(e => e.getBoundingClientRect())"
            ".map(b => [b.width, b.height, b.left, b.right])"
        )
        assert len(boxes) > 20
        for w, h, left, right in boxes:
            assert w > 100 and h > 20 and left >= 0 and right <= width
        text = letters(found.page)
        assert text["small"] == [] and len(text["colours"]) > 2
        assert [pair for pair in text["colours"] if contrast(*pair) < 4.5] == []
        unnamed = found.page.evaluate(
            "() => [...document.querySelectorAll('svg, img')].filter(e => !e.closest('svg svg') && "
            "!e.getAttribute('aria-label') && e.getAttribute('aria-hidden') !== 'true' && "
            "!e.parentElement.closest('svg')).length"
        )
        assert unnamed == 0


def letters(page):
    """Of all texts outside drawings: those that are small, and the colours that there are."""
    return page.evaluate(
        """() => {
            const behind = e => {
                const colour = getComputedStyle(e).backgroundColor;
                return colour === 'rgba(0, 0, 0, 0)' ? behind(e.parentElement) : colour;
            };
            const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
            const all = [...document.body.querySelectorAll('*:not(script)')]
                .filter(e => !e.closest('svg') && own(e));
            const pairs = all.map(e => [getComputedStyle(e).color, behind(e)].join('|'));
            return {
                small: all.filter(e => parseFloat(getComputedStyle(e).fontSize) < 10)
                    .map(e => e.textContent.slice(0, 40)),
                colours: [...new Set(pairs)].map(pair => pair.split('|')),
            };
        }"""
    )


def contrast(*colours):
    """WCAG 2's ratio of two colours."""
    bright = []
    for text in colours:
        rgb = [int(v) / 255 for v in re.findall(r"\d+", text)[:3]]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
        bright.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(bright) + 0.05) / (min(bright) + 0.05)


def column(table, place):
    return table.evaluate(
        "(t, k) => [...t.tBodies[0].rows].filter(r => !r.hidden)"
        ".map(r => (r.cells[k] ? r.cells[k].dataset.value ?? r.cells[k].innerText.trim() : null))",
        place,
    )


def test_tables_sort_by_number_with_the_baseline_first_and_the_missing_last(chrome, page):
    with opened(chrome, page) as found:
        table = found.page.locator("#targets-1 table").first
        button = table.locator("th button").nth(1)
        button.click()
        head = table.locator("thead th").nth(1)
        assert head.get_attribute("aria-sort") == "ascending"
        names = column(table, 0)
        assert names[0].startswith("torch") and names[-1].startswith("braket:emulator")
        assert [float(v) for v in column(table, 1)[:3]] == [0.99, 0.97, 0.98]
        button.press("Enter")
        assert head.get_attribute("aria-sort") == "descending"
        assert [float(v) for v in column(table, 1)[:3]] == [0.99, 0.98, 0.97]
        assert column(table, 0)[-1].startswith("braket:emulator")
        accuracies = found.page.locator("table.accuracy").first
        accuracies.locator("th button").first.click()  # by name, with numbers in it as numbers
        found_names = column(accuracies, 0)
        assert found_names.index("MLP h=4") < found_names.index("MLP h=16")
        assert (found.said, found.asked) == ([], [])


ROWS = (
    *(("a", None, "x", "2"), ("b", "0.5", "1,200", "10"), ("c", "-3", "900", "10")),
    *(("d", "nan", "−0.5<span>[−1.0, 0.0]</span>", "one"), ("e", "", "+0.25", "2")),
    *(("f", "1e-05", "n/a<span>why</span>", "–"), ("g", "12", "3e−05", "")),
)


def tables(tmp_path):
    """A page with the script and two tables: one of several groups, one long."""

    def row(name, value, said, text):
        given = "" if value is None else f' data-value="{value}"'
        fixed = " data-fixed" if name == "g" else ""
        cells = f"<td{given}>{name * 2}</td><td>{said}</td><td>{text}</td>"
        return f"<tr{fixed}><th scope=row>{name}</th>{cells}</tr>"

    own = script()
    policy = f"default-src 'none'; img-src data:; script-src {own.source}"
    head = "".join(f"<th scope=col>{name}</th>" for name in ("Name", "Value", "Said", "Text"))
    group = "<tr><th scope=rowgroup colspan=4>Second</th></tr>"
    rows = "".join(row(*each) for each in ROWS)
    other = "".join(row(f"h{k}", str(-k), "0", "low") for k in range(3))
    file = tmp_path / "tables.html"
    file.write_text(
        f"""<!DOCTYPE html><html lang=en><meta charset=utf-8><title>t</title>
<meta http-equiv="Content-Security-Policy" content="{policy}"><link rel=icon href="data:,">
<table data-sortable data-filter><thead><tr>{head}<th></th></tr></thead>
<tbody>{rows}</tbody><tbody>{group}{other}</tbody></table>
<table data-filter><tbody>{row("short", "1", "1", "1")}</tbody></table>
<table><thead><tr>{head}</tr></thead></table>
<script>{own.text}</script></html>""",
        encoding="utf-8",
    )
    return file


@pytest.mark.parametrize(
    ("place", "up", "down"),
    [
        (1, "gcfbade", "gbfcade"),  # by data-value; none, nan and empty are none
        (2, "gdecbaf", "gbcedaf"),  # by what is written, without its interval; words among numbers
        (3, "gaebcdf", "gbcaedf"),  # equal ones stay in their order
        (0, "gabcdef", "gfedcba"),
    ],
)
def test_sorting_is_by_value_stable_within_groups_and_ends_with_the_missing(
    chrome, tmp_path, place, up, down
):
    with opened(chrome, tables(tmp_path)) as found:
        table = found.page.locator("table").first
        button = table.locator("th button").nth(place)
        for key, order, told in (("Enter", up, "ascending"), ("Space", down, "descending")):
            button.press(key)
            assert "".join(column(table, 0)) == order
            assert table.locator("[aria-sort]").get_attribute("aria-sort") == told
            others = table.locator("tbody").nth(1).locator("tr").all_inner_texts()
            assert others[0].strip() == "Second" and len(others) == 4
        assert found.page.locator("th button").count() == 4  # no other table, no nameless head
        assert (found.said, found.asked) == ([], [])


def test_tables_filter_by_words(chrome, tmp_path):
    with opened(chrome, tables(tmp_path)) as found:
        field = found.page.get_by_label("Filter rows", exact=True)
        assert field.count() == 1 and field.get_attribute("type") == "search"
        told, table = found.page.locator("[aria-live]"), found.page.locator("table").first
        field.fill("1,200  BB")
        assert column(table, 0) == ["b"] and told.inner_text().strip() == "1 of 10 rows"
        assert not found.page.get_by_text("Second").is_visible()  # nothing is left of its group
        table.locator("th button").first.click()
        assert column(table, 0) == ["b"]
        field.fill("low")
        assert column(table, 0) == [] and told.inner_text().strip() == "3 of 10 rows"
        assert found.page.get_by_text("Second").is_visible()
        field.fill("")
        assert len(column(table, 0)) == len(ROWS) and told.inner_text() == ""


def test_without_its_script_the_page_says_the_same(chrome, page):
    with opened(chrome, page) as found, opened(chrome, page, script=False) as plain:
        texts = [each.page.locator("body").inner_text() for each in (found, plain)]
        assert plain.page.locator("th button").count() == 0
        assert found.page.locator("th button").count() > 20
        words = [text.replace("Filter rows", "").split() for text in texts]
        assert words[0] == words[1]


def test_links_lead_somewhere(chrome, page):
    with opened(chrome, page) as found:
        lost = found.page.evaluate(
            "() => [...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash.slice(1))"
            ".filter(id => !document.getElementById(id))"
        )
        assert lost == []
        files = found.page.evaluate(
            "() => [...document.querySelectorAll('a:not([href^=\"#\"])')]"
            ".map(a => a.getAttribute('href'))"
        )
        assert files and all((page.parent / name).is_file() for name in files)


def test_whatever_names_say_is_shown_and_never_run(chrome, tmp_path):
    names = [f"{text} {k}" for k, text in enumerate(HOSTILE)]
    records = [
        factory.record(name, seed, family="quantum" if k == 0 else "mlp", warnings=(name,))
        for k, name in enumerate(names)
        for seed in range(2)
    ]
    parts = tuple(test_targets.part(name, 0.5, source=name) for name in names)
    parts += tuple(test_targets.part(f"lab:{k}", None, name) for k, name in enumerate(names))
    maps = [(names[0], factory.routing_map(names[0]))]
    run = factory.write(tmp_path / "run", records, maps, test_targets.evidence(parts))
    page = write_report(run, tmp_path / "report")
    with opened(chrome, page) as found:
        assert (found.said, found.asked) == ([], [])
        routers, targets, *_ = found.page.locator("table.accuracy").all()
        shown = routers.locator("tbody th").all_inner_texts()
        assert sorted(map(visible, shown)) == sorted(map(visible, names))
        shown = " ".join(map(visible, targets.locator("tbody tr").all_inner_texts()))
        assert all(shown.count(visible(name)) >= 2 for name in names)  # a target, and a reason
        assert found.page.locator("h1").count() == 1
        assert found.page.locator("script").count() == 1
        wide = "() => document.documentElement.scrollWidth <= window.innerWidth"
        assert found.page.evaluate(wide)


def visible(text):
    """What is left of a text on a page: blanks are one, control characters none."""
    return " ".join("".join(c for c in text if c.isspace() or c.isprintable()).split())


INJECTED = (
    "<script>document.title = 'run'</script>"
    "<button onclick=\"document.title = 'run'\">press</button>"
)


@pytest.mark.parametrize("guarded", [True, False])
def test_no_other_script_may_run(chrome, page, tmp_path, guarded):
    text = page.read_text(encoding="utf-8").replace("</body>", f"{INJECTED}</body>")
    if not guarded:  # then they would
        text = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", text)
    other = tmp_path / "other.html"
    other.write_text(text, encoding="utf-8")
    with opened(chrome, other) as found:
        titles = [found.page.title()]
        found.page.evaluate("document.title = 'before'")
        found.page.get_by_text("press", exact=True).click()
        titles.append(found.page.title())
        assert [title == "run" for title in titles] == [not guarded] * 2
        blocked = [line for line in found.said if "Content Security Policy" in line]
        assert len(blocked) == (2 if guarded else 0)
