"""What changed between two runs: chance is not called a change, and a planted change is found."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import binom, permutation_test, ttest_ind, ttest_rel
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from qmoe import results
from qmoe.errors import InputError
from qmoe.evidence import Evidence
from qmoe.figure import Figure, Figures, Measurement
from qmoe.metrics import paired_difference
from qmoe.record import Record
from qmoe.report.change_stats import paired, proportions, unpaired
from qmoe.report.changes import (
    Change,
    Changes,
    change_blocks,
    changes,
    changes_json,
    changes_table,
    write_changes,
)
from qmoe.report.rich_tables import rendered
from qmoe.rundir import Run
from qmoe.stats import FEWEST, Sample, judge
from tests.qmoe.report import factory, test_device, test_targets
from tests.qmoe.report.test_page import Page

BASE = factory.record("linear", 0)
TEST_ROWS = 200


def record(router: str, seed: int, accuracy: float, digest: str = "", **more: object) -> Record:
    """As quick as it goes: nothing is checked again."""
    return BASE.model_copy(
        update={
            "router": router,
            "seed": seed,
            "dataset_digest": digest or f"sha256:{seed:064x}",
            "metrics": {**BASE.metrics, "accuracy_test": accuracy},
            **more,
        }
    )


def made(records: list[Record], name: str = "a") -> Run:
    """A run without a folder."""
    return Run(Path("nowhere") / name, "quick", factory.PROVENANCE, tuple(records))


def routers(accuracies: dict[str, np.ndarray], first: int = 0, **more: object) -> Run:
    return made(
        [
            record(name, first + seed, float(value), **more)
            for name, values in accuracies.items()
            for seed, value in enumerate(values)
        ]
    )


def words(found: Changes) -> dict[str, str]:
    return {change.name: change.word for change in found.changes}


def only(found: Changes) -> Change:
    [change] = found.changes
    return change


# Statistics


LEVELS = {"a": 0.9, "b": 0.8, "c": 0.97}


def drawn(
    rng: np.random.Generator, easier: np.ndarray, rows: int = TEST_ROWS
) -> dict[str, np.ndarray]:
    """Accuracies on some test rows each; `easier` is by how much the data of each seed are."""
    return {
        name: rng.binomial(rows, np.clip(level + easier, 0, 1)) / rows
        for name, level in LEVELS.items()
    }


@pytest.mark.parametrize(
    ("seeds", "first", "rows"),
    [
        (4, 0, 20),
        pytest.param(10, 0, TEST_ROWS, marks=pytest.mark.slow),
        pytest.param(5, 100, TEST_ROWS, marks=pytest.mark.slow),
        pytest.param(2, 0, 20, marks=pytest.mark.slow),
        pytest.param(2, 100, 10, marks=pytest.mark.slow),
    ],
)
def test_chance_is_seldom_called_a_change(seeds: int, first: int, rows: int) -> None:
    """Both runs from one distribution, on the same data or on others.

    With a true rate of 5 % of families, more than `allowed` of 400 happens once in 1,000 times.
    """
    rng = np.random.default_rng(20)
    pairs, called = 400, 0
    for _ in range(pairs):
        easier, others = rng.normal(0, 0.03, (2, seeds))
        a = routers(drawn(rng, easier, rows))
        found = changes(a, routers(drawn(rng, others if first else easier, rows), first))
        assert len(found.changes) == len(LEVELS)
        called += any(word in ("higher", "lower") for word in words(found).values())
    allowed = binom.isf(0.001, pairs, 0.05)
    assert called <= allowed


def test_a_planted_change_is_found_and_the_others_stay() -> None:
    rng = np.random.default_rng(3)
    before = drawn(rng, rng.normal(0, 0.03, 30))
    after = {name: values + rng.normal(0, 0.01, 30) for name, values in before.items()}
    after["b"] = after["b"] - 0.03
    after["d"] = before["d"] = before["a"] - 0.02
    found = changes(routers(before), routers(after))
    assert words(found) == {
        "a": "no significant change",
        "b": "lower",
        "c": "no significant change",
        "d": "unchanged",
    }
    change = found.changes[1]
    assert change.difference.low < -0.03 < change.difference.high
    assert change.basis == "30 paired seeds" and found.tested == 3
    assert change.difference == paired_difference(after["b"], before["b"])


values = st.lists(st.integers(0, TEST_ROWS), min_size=2, max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.lists(values, min_size=1, max_size=4), st.integers(0, 2**32 - 1), st.booleans())
def test_order_flips_the_sign_exactly(counts: list[list[int]], seed: int, same_data: bool) -> None:
    rng = np.random.default_rng(seed)
    one = {f"r{k}": np.array(v) / TEST_ROWS for k, v in enumerate(counts)}
    two = {k: rng.permutation(v) for k, v in one.items()}
    a, b = routers(one), routers(two) if same_data else routers(two, digest="other")
    there, back = changes(a, b), changes(b, a)
    mirrored = {"higher": "lower", "lower": "higher"}
    for one_way, other in zip(there.changes, back.changes, strict=True):
        assert other.word == mirrored.get(one_way.word, one_way.word)
        assert (other.p, other.adjusted, other.basis) == (
            one_way.p,
            one_way.adjusted,
            one_way.basis,
        )
        d, e = one_way.difference, other.difference
        np.testing.assert_array_equal([e.value, e.low, e.high], [-d.value, -d.high, -d.low])


@pytest.mark.parametrize("seeds", [2, 5, 30])
def test_paired_is_the_t_test_and_the_verdicts_own(seeds: int) -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(0.9, 0.02, (2, seeds))
    found = paired(a, b)
    theirs = ttest_rel(b, a)
    ends = theirs.confidence_interval(0.95)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert found.score.low == pytest.approx(ends.low, rel=1e-9)
    assert found.score.high == pytest.approx(ends.high, rel=1e-9)
    overlap = 0.3
    population = "this data set, new split"
    if seeds >= FEWEST[population]:
        [verdict] = judge([Sample("x", b, a, population, tuned=True, overlap=overlap)])
        assert paired(a, b, overlap).p == pytest.approx(verdict.p, rel=1e-9)


def test_unpaired_is_welchs_test_and_splits_of_one_set_widen_it() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.normal(0.9, 0.02, 6), rng.normal(0.92, 0.05, 9)
    found = unpaired(a, b)
    theirs = ttest_ind(b, a, equal_var=False)
    ends = theirs.confidence_interval(0.95)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert found.score.low == pytest.approx(ends.low, rel=1e-9)
    assert found.score.high == pytest.approx(ends.high, rel=1e-9)
    wider = unpaired(a, b, (0.5, 0.5))
    by_hand = math.sqrt(a.var(ddof=1) * (1 / 6 + 0.5) + b.var(ddof=1) * (1 / 9 + 0.5))
    t = (b.mean() - a.mean()) / by_hand
    middle = (wider.score.low + wider.score.high) / 2
    assert middle == pytest.approx(b.mean() - a.mean())
    assert wider.p > found.p and abs(t) < abs(theirs.statistic)
    assert unpaired(np.full(4, 0.93), b).p > 0  # no spread on one side is no trouble


@pytest.mark.parametrize("seeds", [2, 3, 5, 8])
def test_values_without_spread_get_the_p_of_signs_or_permutations(seeds: int) -> None:
    a = np.linspace(0.90, 0.95, seeds)
    flips = permutation_test(
        (a, a + 0.01),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    found = paired(a, a + 0.01)
    assert found.p == pytest.approx(flips.pvalue) == 2.0 ** (1 - seeds)
    assert not found.score.has_interval
    x, y = np.full(seeds, 0.9), np.full(3, 0.95)
    swaps = permutation_test(
        (x, y), lambda x, y, axis: np.mean(x, axis) - np.mean(y, axis), n_resamples=np.inf
    )
    assert (
        unpaired(x, y).p == pytest.approx(min(2 / math.comb(seeds + 3, 3), 1))
        and unpaired(x, y).p >= swaps.pvalue - 1e-12
    )


def test_holm_is_over_everything_tested() -> None:
    rng = np.random.default_rng(8)
    one, two = (drawn(rng, np.zeros(6)) for _ in range(2))
    found = changes(routers(one), routers(two))
    p = [ttest_rel(two[c.name], one[c.name]).pvalue for c in found.changes]
    reject, adjusted, *_ = multipletests(p, method="holm")
    assert [c.adjusted for c in found.changes] == pytest.approx(list(adjusted))
    assert [c.word in ("higher", "lower") for c in found.changes] == list(reject)


def test_shares_have_newcombes_interval() -> None:
    found = proportions(190, 170, TEST_ROWS)
    low, high = confint_proportions_2indep(170, 200, 190, 200, method="newcomb", compare="diff")
    assert (found.score.low, found.score.high) == (low, high)
    table = [[170, 30], [190, 10]]
    from scipy.stats import chi2_contingency

    assert found.p == pytest.approx(chi2_contingency(table, correction=False).pvalue)


# What is set beside what


def test_the_same_run_is_unchanged(tmp_path: Path) -> None:
    records = factory.study(4, ("linear", "quantum L=2"))
    run = factory.write(tmp_path / "run", records, (), evidence())
    found = changes(run, run)
    kinds = {change.kind for change in found.changes}
    assert kinds == {"router", "target", "device"}
    assert {change.word for change in found.changes} == {"unchanged"}
    assert all(change.difference.value == 0 for change in found.changes)
    assert found.apart == found.only_a == found.only_b == ()
    assert found.tested == 0


def test_data_decide_whether_seeds_are_paired() -> None:
    one = {"a": np.array([0.9, 0.92, 0.95])}
    two = {"a": np.array([0.91, 0.92, 0.96])}
    assert only(changes(routers(one), routers(two))).basis == "3 paired seeds"
    other = only(changes(routers(one), routers(two, digest="other")))
    assert other.basis == "3 and 3 seeds, unpaired" and "saw other data" in other.note
    later = only(changes(routers(one), routers(two, first=2)))
    assert later.basis == "3 and 3 seeds, unpaired" and "fewer than two" in later.note
    shifted = only(changes(routers(one), routers(two, first=1)))
    assert shifted.basis == "2 paired seeds of 3 and 3"
    assert (shifted.a, shifted.b) == pytest.approx((0.935, 0.915))


def test_few_values_are_not_tested() -> None:
    one = only(changes(routers({"a": np.array([0.9])}), routers({"a": np.array([0.8])})))
    assert one.word == "one value each, not tested" and one.p is None
    assert one.difference.value == pytest.approx(-0.1)
    few = only(changes(routers({"a": np.array([0.9])}), routers({"a": np.full(3, 0.8)}, first=5)))
    assert few.word == "too few values, not tested"
    same = only(changes(routers({"a": np.array([0.9])}), routers({"a": np.array([0.9, 0.8])})))
    assert same.word == "unchanged" and same.basis == "1 paired seed of 1 and 2"


def test_a_run_without_an_accuracy_is_no_change() -> None:
    broken = made([BASE.model_copy(update={"metrics": {"accuracy_train": 0.5}, "router": "a"})])
    found = only(changes(broken, routers({"a": np.array([0.9, 0.8])})))
    assert found.word == "too few values, not tested" and math.isnan(found.difference.value)


def test_splits_of_one_data_set_have_nadeau_and_bengios_interval() -> None:
    rng = np.random.default_rng(4)
    one, two = ({"a": rng.normal(0.9, 0.02, 12)} for _ in range(2))
    split = {"population": "this data set, new split", "rows": {"train": 400, "test": 100}}
    found = only(changes(routers(one, **split), routers(two, **split)))
    assert found.difference == paired_difference(two["a"], one["a"], overlap=0.25)
    plain = only(changes(routers(one), routers(two)))
    assert found.p > plain.p


def test_what_only_one_run_has_is_named() -> None:
    found = changes(
        routers({"a": np.ones(2), "b": np.ones(2)}), routers({"a": np.ones(2), "c": np.ones(2)})
    )
    assert [text.partition(":")[0] for text in (*found.only_a, *found.only_b)] == ["b", "c"]


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(InputError, match="without a figure in common") as error:
        changes(routers({"a": np.ones(2)}), routers({"b": np.ones(2)}))
    assert error.value.exit_code == 2
    with pytest.raises(InputError):
        changes(made([]), made([]))


def test_provenance_that_differs_is_named() -> None:
    one = routers({"a": np.ones(2)})
    later = factory.PROVENANCE.model_copy(
        update={"commit": "f" * 40, "seed": 7, "versions": {"numpy": "2.2.7", "torch": "2.13.0"}}
    )
    two = Run(one.path, "paper", later, one.records)
    assert [tuple(each) for each in changes(one, two).apart] == [
        ("suite", "quick", "paper"),
        ("commit", str(factory.PROVENANCE.commit), "f" * 40),
        ("root seed", "0", "7"),
        ("numpy", "2.2.6", "2.2.7"),
        ("scikit-learn", "1.9.1", ""),
        ("scipy", "1.17.1", ""),
    ]


# Targets and devices


def evidence(
    targets: tuple[Figures, ...] = test_targets.PARTS,
    devices: tuple[Figures, ...] = test_device.PARTS,
    hardware: tuple[Figures, ...] = (),
) -> Evidence:
    named = {"targets": targets, "device": devices, "hardware": hardware}
    return Evidence(
        provenance=factory.PROVENANCE,
        figures=tuple(part for parts in named.values() for part in parts),
        studies={study: tuple(part.key for part in parts) for study, parts in named.items()},
    )


def with_evidence(folder: Path, found: Evidence) -> Run:
    return factory.write(folder, [], (), found)


def test_targets_are_compared_by_their_shares(tmp_path: Path) -> None:
    later = (
        test_targets.part("ibm:fake_boston", 0.90, **{"total variation": 0.05}),
        test_targets.part("lab:x", 0.965),
        test_targets.part("torch", 0.5, source="exact", shots=1000),
    )
    a = with_evidence(tmp_path / "a", evidence(devices=()))
    b = with_evidence(tmp_path / "b", evidence(later, ()))
    found = {(c.name, c.figure): c for c in changes(a, b).changes}
    assert {name.partition(" (")[0] for name, _ in found} == {"ibm:fake_boston", "lab:x"}
    name = "ibm:fake_boston (simulated device snapshot)"
    assert found[name, "accuracy"].word == "lower"
    assert found[name, "accuracy"].p == proportions(196, 180, 200).p
    assert found[name, "total variation"].word == "one value each, not tested"
    assert found[name, "total variation"].difference.value == pytest.approx(0.02)
    assert found["lab:x (simulated device snapshot)", "accuracy"].word == "no significant change"
    # one with shots and one without are no pair
    assert any(text.startswith("torch") for text in changes(a, b).only_a)


def moved(parts: tuple[Figures, ...], by: float, **labels: str) -> tuple[Figures, ...]:
    """Device figures of which the accuracies of one treatment moved, per router."""
    noise = iter(np.random.default_rng(1).normal(0, 1e-4, 100))

    def one(figure: Figure) -> Figure:
        own = {**figure.labels, **{k: v for k, v in labels.items() if k in figure.labels}}
        if figure.name != "device accuracy" or not figure.per_seed:
            return figure.model_copy(update={"labels": own})
        values = tuple(v + by + float(next(noise)) for v in figure.per_seed)
        mean = sum(values) / len(values)
        return figure.model_copy(update={"per_seed": values, "value": mean, "labels": own})

    return tuple(
        part.model_copy(update={"figures": tuple(map(one, part.figures))}) for part in parts
    )


def test_routers_on_devices_are_paired(tmp_path: Path) -> None:
    a = with_evidence(tmp_path / "a", evidence((), test_device.PARTS))
    b = with_evidence(
        tmp_path / "b", evidence((), moved(test_device.PARTS, -0.05, calibration="C"))
    )
    found = changes(a, b)
    fallen = [c for c in found.changes if c.figure == "device accuracy"]
    assert [c.word for c in fallen] == ["lower", "lower"]
    assert all(c.basis == "3 paired routers" for c in fallen)
    others = {c.word for c in found.changes if c.figure != "device accuracy"}
    assert others == {"unchanged"} and found.only_a == ()


def hardware(value: float, plan: str, per_seed: tuple[float, ...] = ()) -> tuple[Figures, ...]:
    labels = {"plan": plan, "suite": "s", "target": "t", "source": "device", "treatment": "none"}
    figure = Figure(name="hardware accuracy", labels=labels, value=value, per_seed=per_seed)
    part = Measurement("hardware_runs.rescore:rescore", {"plan": plan})
    return (Figures(key=part.key, call=part.call, options={}, figures=(figure,)),)


def test_experiments_of_two_days_are_described_or_paired(tmp_path: Path) -> None:
    def between(one: tuple[Figures, ...], two: tuple[Figures, ...], name: str) -> Change:
        a = with_evidence(tmp_path / f"{name}a", evidence((), (), one))
        return only(changes(a, with_evidence(tmp_path / f"{name}b", evidence((), (), two))))

    bare = between(hardware(0.9, "p1"), hardware(0.8, "p2"), "1")
    assert bare.word == "one value each, not tested" and bare.basis == "described only"
    four = (0.9, 0.91, 0.92, 0.9)
    lower = tuple(v - 0.05 - k / 1000 for k, v in enumerate(four))
    told = between(hardware(0.9, "p1", four), hardware(0.8, "p2", lower), "2")
    assert told.word == "lower" and told.basis == "4 paired routers"
    unlike = between(hardware(0.9, "p1", four), hardware(0.8, "p2", lower[:3]), "3")
    assert unlike.word == "lower" and unlike.basis == "4 and 3 routers, unpaired"


def test_two_plans_of_one_run_are_not_mixed_up(tmp_path: Path) -> None:
    both = (*hardware(0.9, "p1"), *hardware(0.8, "p2"))
    a = with_evidence(tmp_path / "a", evidence((), (), both))
    b = with_evidence(tmp_path / "b", evidence((), (), hardware(0.7, "p2")))
    found = changes(a, b)
    assert (only(found).a, only(found).b) == (0.8, 0.7)
    assert len(found.only_a) == 1 and "plan p1" in found.only_a[0]


# As it is shown

HOSTILE = "<b>[red]x[/red]\x1b[31m"


@pytest.fixture(scope="module")
def shown() -> Changes:
    rng = np.random.default_rng(3)
    one = drawn(rng, np.zeros(12))
    two = {name: values + rng.normal(0, 0.005, 12) for name, values in one.items()}
    one[HOSTILE], two[HOSTILE] = one.pop("a"), two.pop("a") - 0.03
    two["b"] = one["b"]
    two["new"] = one["c"]
    return changes(routers(one), routers(two))


def test_the_terminal_has_every_figure_and_no_markup(shown: Changes) -> None:
    for width in (60, 120):
        console = Console(file=io.StringIO(), width=width, color_system=None, force_jupyter=False)
        with console.capture() as captured:
            for each in rendered(change_blocks(shown)):
                console.print(each)
        text = captured.get()
        assert "\x1b" not in text and "[/red]" in "".join(text.split())
        assert max(map(len, text.splitlines())) <= width and "…" not in text
        for change in shown.changes:
            if change.word != "unchanged":
                assert f"{change.difference.value:+.4f}".replace("-", "−") in text
        assert "Unchanged: b" in text and "Only in B: 1" in text


def test_page_csv_and_json_say_the_same(shown: Changes, tmp_path: Path) -> None:
    page = write_changes(shown, tmp_path / "out")
    table = pd.read_csv(page.parent / "changes.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(
        table.fillna({"note": ""}), changes_table(shown), check_exact=False, rtol=1e-15
    )
    parsed = Page(page.read_text())
    cells = [e for e in parsed.elements if "data-low" in e]
    assert [float(str(e["data-value"])) for e in cells] == list(table["difference"])
    assert [e["text"] for e in parsed.all("th", scope="row")][: len(cells)] == list(table["name"])
    found = json.loads(json.dumps(changes_json(shown), allow_nan=False))
    assert [each["word"] for each in found["changes"]] == list(table["word"])
    p = [math.nan if each["p_holm"] is None else each["p_holm"] for each in found["changes"]]
    np.testing.assert_allclose(p, table["p_holm"], rtol=1e-12)
    assert "not the verdicts of a registered comparison" in parsed.said
    assert not parsed.all("script") and not parsed.all("b")
    [policy] = [e for e in parsed.all("meta") if e.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy["content"]).startswith("default-src 'none'")
    loads = {str(e.get(k)) for e in parsed.elements for k in ("src", "href") if e.get(k)}
    assert loads == {"data:,", "changes.csv"}


def test_a_folder_that_cannot_be_written_is_one_line(shown: Changes, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a folder that can be written"):
        write_changes(shown, tmp_path / "file" / "out")


def test_figures_are_those_of_the_tables(shown: Changes) -> None:
    frame = results.summary(results.table(shown.a.records)).set_index("router")
    for change in shown.changes:
        assert change.a == pytest.approx(frame.loc[change.name, "accuracy"])
