"""The ledger: every claim's rule with outcomes planted in each direction, derived independently."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from qmoe.cell import Cell, CellResult
from qmoe.claims import CLAIMS, Claim, Judged, disagreements, judged, with_verdicts
from qmoe.claims.claim import MARGINS, NotStoredError, verdict
from qmoe.claims.compared import HORIZON, TARGET, searched, steps_to_target
from qmoe.claims.judging import beside
from qmoe.cli import STUDIES
from qmoe.evidence import COMMITTED, LEDGER, Evidence, united
from qmoe.figure import Figure
from qmoe.images import DATA_DIR, IMAGE_SETS
from qmoe.suite import resolve, setup
from qmoe.trial import Trial
from tests.qmoe.planted import accuracies, cell, evidence, measured
from tests.qmoe.test_cli import call

BY_ID = {claim.id: claim for claim in CLAIMS}
COMPARED = [claim.id for claim in CLAIMS if claim.pairs]
PLANTED = {"better": 0.03, "worse": -0.03, "equivalent": 0.0}
"""Differences in accuracy, far outside or in the middle of the margin."""
STEPS = {"better": 50.0, "worse": 150.0, "equivalent": 100.0}


def pair_cells(claim: Claim, words: list[str], **changes) -> Iterator[CellResult]:
    """Cells of a claim whose comparisons come out as `words`, in the order of its pairs.

    A router or control that two pairs share is made once; the other side carries the difference.
    """
    seeds = changes.pop("seeds", 10 if claim.id == "C11" else 30)
    made: dict[tuple[str, str], float] = {}
    for stream, (pair, word) in enumerate(zip(claim.pairs, words, strict=True)):
        control, router = ((pair.dataset, name) for name in (pair.control, pair.router))
        if control in made:
            means = {router: made[control] + PLANTED[word]}
        else:
            means = {control: made.get(router, 0.9) - PLANTED[word], router: 0.9}
        for k, ((dataset, name), mean) in enumerate(means.items()):
            if (dataset, name) in made:
                continue
            made[dataset, name] = mean
            at = STEPS[word] if name == pair.router else 100.0
            values = accuracies(mean, seeds, stream=2 * stream + k)
            given = {"steps": [at] * seeds, "experts": claim.experts, **changes}
            yield cell(dataset, name, values, **given)


def ledger(*parts, claim: str) -> Judged:
    [one] = judged(evidence(*parts), [BY_ID[claim]])
    return one


def planted(claim_id: str, *words: str, **changes) -> Judged:
    claim = BY_ID[claim_id]
    given = [*words] * len(claim.pairs) if len(words) == 1 else [*words]
    return ledger(*pair_cells(claim, given, **changes), claim=claim_id)


def test_there_are_fourteen_claims_with_a_command_or_what_they_lack():
    assert [claim.id for claim in CLAIMS] == [f"C{n}" for n in range(1, 15)]
    for claim in CLAIMS:
        assert bool(claim.pairs or claim.losses) != bool(claim.rule)
        assert bool(claim.pairs and claim.losses) == bool(claim.without_losses)
        assert claim.study
        assert not claim.predicts & claim.contradicts
        assert len({pair.name for pair in claim.pairs}) == len(claim.pairs)


def label(cell: Cell) -> str:
    """What the result of a cell will be called."""
    if cell.label:
        return cell.label
    if cell.router.startswith("svc-"):
        return f"SVC {cell.router.removeprefix('svc-')} kernel"
    return cell.spec(cell.pca or 2, 2, Trial()).build().router.label


@pytest.mark.parametrize("study", sorted({claim.study for claim in CLAIMS if claim.pairs}))
def test_the_registered_pairs_are_what_the_studies_train_with_equal_budgets(
    study, tmp_path, monkeypatch
):
    # planning asks whether image files are there, and reads none
    for images in IMAGE_SETS.values():
        (tmp_path / images.name).mkdir()
        for file in images.files:
            (tmp_path / images.name / file.name).touch()
    monkeypatch.setenv(DATA_DIR, str(tmp_path))
    plan = resolve(STUDIES[study])(setup(0, 30, 12))
    for claim in (claim for claim in CLAIMS if claim.study == study):
        names = {n for pair in claim.pairs for n in (pair.router, pair.control)}
        sets = {pair.dataset for pair in claim.pairs}
        cells = [
            c
            for c in {c.key: c for c in plan.cells}.values()
            if (c.experts, c.protocol) == (claim.experts, "controlled") and str(c.data) in sets
        ]
        found = [(str(c.data), label(c)) for c in cells if c.like is None and len(c.trials) == 12]
        for pair in claim.pairs:
            for name in (pair.router, pair.control):
                assert found.count((pair.dataset, name)) == 1, (claim.id, pair.dataset, name)
        wanted = [c for c in cells if label(c) in names]
        assert len({c.config.epochs for c in wanted} | {c.sizes for c in wanted}) <= 2


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (("better", "better"), "holds"),
        (("equivalent", "equivalent"), "does not hold"),
        (("equivalent", "worse"), "does not hold"),
        (("better", "equivalent"), "partly"),
        (("better", "worse", "inconclusive"), "partly"),
        (("better", "inconclusive"), "undecided"),
        (("worse", "untuned"), "undecided"),
        (("inconclusive (n too small)",), "undecided"),
        ((), "undecided"),
    ],
)
def test_the_words_of_comparisons_give_the_word_of_the_claim(words, word):
    assert verdict(words, BY_ID["C1"]) == word


@pytest.mark.parametrize("claim", COMPARED)
def test_every_compared_claim_can_come_out_either_way(claim):
    assert planted(claim, "better").verdict == "holds"
    assert planted(claim, "worse").verdict == "does not hold"
    assert planted(claim, "equivalent").verdict == "does not hold"


@pytest.mark.parametrize("claim", COMPARED)
def test_a_claim_with_mixed_outcomes_holds_partly(claim):
    words = ["better", "worse"] * (len(BY_ID[claim].pairs) // 2)
    assert planted(claim, *words).verdict == "partly"


def test_c14_needs_to_be_better_than_both_controls():
    assert planted("C14", *["better"] * 4, *["equivalent"] * 4).verdict == "partly"
    assert planted("C14", *["equivalent"] * 8).verdict == "does not hold"


def test_noisy_figures_are_undecided():
    one = planted("C1", "better", seeds=30)
    wide = [
        cell(pair.dataset, name, accuracies(0.9 + shift, 30, 0.06, stream))
        for pair in BY_ID["C1"].pairs
        for stream, (name, shift) in enumerate(((pair.router, 0.004), (pair.control, 0.0)))
    ]
    assert one.verdict == "holds"
    found = ledger(*wide, claim="C1")
    assert [c.verdict.word for c in found.comparisons] == ["inconclusive"] * 2
    assert found.verdict == "undecided" and "2 inconclusive" in found.reason


def test_three_seeds_asked_to_decide_are_told_what_a_verdict_needs():
    one = planted("C1", "better", seeds=3)
    assert one.verdict == "undecided"
    assert "2 inconclusive (n too small)" in one.reason
    assert "3 pairs" in one.reason and "needs 30" in one.reason
    assert planted("C1", "better", seeds=29).verdict == "undecided"
    assert planted("C11", "better", seeds=9).verdict == "undecided"


def test_without_equal_budgets_there_is_no_word():
    few = planted("C1", "better", trials=11)
    assert few.verdict == "undecided" and "11 trials were searched" in few.reason
    cells = [*pair_cells(BY_ID["C1"], ["better", "better"])]
    longer = cells[0].model_copy(update={"cell": {**cells[0].cell, "training": {"epochs": 400}}})
    one = ledger(longer, *cells[1:], claim="C1")
    assert [c.verdict.word for c in one.comparisons] == ["untuned", "better"]
    assert "did not train equally long" in one.reason
    reused = cells[0].model_copy(update={"cell": {**cells[0].cell, "like": "0" * 20}})
    assert ledger(reused, *cells[1:], claim="C1").comparisons[0].verdict.word == "untuned"


def test_the_number_of_trials_is_counted_and_not_believed():
    table = [[190] * 30, *[[None] * 30] * 11]
    told = cell(
        *("moons(noise=0.1)", "linear", [0.9] * 30),
        validation_correct=table,
        chosen=[0] * 30,
        searched=12,
    )
    assert (told.searched, searched(told)) == (12, 1)


def test_what_is_not_stored_is_not_judged():
    assert {one.claim.id: one.verdict for one in judged(evidence())} == {
        claim.id: "not judged yet" for claim in CLAIMS
    }
    cells = [*pair_cells(BY_ID["C1"], ["better", "better"])]
    half = ledger(*cells[:2], claim="C1")
    assert half.verdict == "not judged yet" and half.comparisons == ()
    assert "linear on moons(noise=0.2)" in half.reason or "L=2 on moons(noise=0.2)" in half.reason
    other = cells[1].model_copy(update={"dataset_digest": "of other data"})
    unpaired = ledger(cells[0], other, *cells[2:], claim="C1")
    assert unpaired.verdict == "not judged yet" and "equal seeds" in unpaired.reason


def test_of_cells_with_one_name_that_of_the_claims_own_study_counts():
    cells = [*pair_cells(BY_ID["C1"], ["better", "better"])]
    twin = cells[0].model_copy(update={"key": "f" * 20})
    one = ledger(*cells, twin, claim="C1")
    assert one.verdict == "not judged yet" and "there are 2" in one.reason
    studies = {"hunt": (twin.key,), "ablation": tuple(c.key for c in cells)}
    [one] = judged(evidence(*cells, twin, studies=studies), [BY_ID["C1"]])
    assert one.verdict == "holds"


def eta_figures(quantum: float, classical: float) -> Iterator[Figure]:
    name = "eta by the stated formula"
    for base, factor in (("e", 1.0), ("10", math.log(10))):
        for router, value in (("quantum", quantum), ("classical", classical)):
            labels = {"router": router, "base": base, "accuracy in": "percent"}
            yield Figure(name=name, labels=labels, value=value * factor)


@pytest.mark.parametrize(
    ("quantum", "classical", "word"),
    [
        (94 / math.log(25), 65 / math.log(13), "does not hold"),
        (7.136, 2.794, "holds"),
        (7.14, 2.80, "does not hold"),
        (7.14 / math.log(10), 2.79 / math.log(10), "holds"),
        # each in another base: no single reading
        (7.14, 2.79 / math.log(10), "does not hold"),
    ],
)
def test_c3_asks_one_reading_for_both_figures(quantum, classical, word):
    assert ledger(measured(*eta_figures(quantum, classical)), claim="C3").verdict == word


def test_c3_by_the_study_itself():
    from qmoe.studies.efficiency import eta_readings

    one = ledger(measured(*eta_readings()), claim="C3")
    assert one.verdict == "does not hold"
    assert one.reason.startswith("0 of 6 readings")


def passes(*counts: float, method: str = "adjoint") -> Iterator[Figure]:
    for k, count in enumerate(counts):
        labels = {"method": method, "parameters": 2 ** (k + 1)}
        yield Figure(name="passes per gradient", labels=labels, value=count)


def test_c9_asks_whether_the_passes_stay_the_same():
    assert ledger(measured(*passes(2, 2, 2)), claim="C9").verdict == "holds"
    assert ledger(measured(*passes(2, 4, 8)), claim="C9").verdict == "does not hold"
    assert ledger(measured(*passes(2)), claim="C9").verdict == "not judged yet"
    others = measured(*passes(4, 8, 16, method="parameter shift"))
    assert ledger(others, claim="C9").verdict == "not judged yet"
    both = ledger(measured(*passes(2, 2)), others, claim="C9")
    assert both.verdict == "holds" and "P = 2: 2, P = 4: 2" in both.measured[0]


def test_c9_by_the_study_itself():
    from qmoe.studies.convergence import gradient_cost

    found = evidence(measured(*gradient_cost((1, 2, 4))))
    [one] = judged(found, [BY_ID["C9"]])
    assert one.verdict == "holds" and "device" in one.reason
    # two executions per parameter
    [line] = beside(found, BY_ID["C9"])
    assert "method parameter shift" in line
    assert line.endswith("parameters 2: 4; parameters 4: 8; parameters 8: 16")


def test_figures_beside_a_verdict_are_found_under_the_names_that_the_studies_give():
    from qmoe.studies.efficiency import eta_readings, expressivity
    from qmoe.studies.hunt import closest
    from qmoe.studies.interference import kernel_closed_form, kernel_dimension
    from qmoe.studies.trainability import gradient_variances

    found = evidence(
        measured(*eta_readings()),
        measured(*expressivity((1, 2))),
        measured(*closest(experts=(2,), epochs=(30,), rates=(0.05,), protocols=("notebook",))),
        measured(*kernel_closed_form((1,)), *kernel_dimension((2,))),
        measured(*gradient_variances((2, 3, 4), samples=4)),
    )
    lines = {claim.id: len(beside(found, claim)) for claim in CLAIMS}
    assert {name: count for name, count in lines.items() if count} == {
        **{"C1": 2, "C3": 3, "C6": 3, "C8": 2, "C10": 1}
    }


def test_steps_to_target_are_the_first_point_there_and_censored_at_the_horizon():
    seeds = 4
    r = cell("moons(noise=0.1)", "linear", [0.9] * seeds, steps=[10, 105, 200, 1000])
    assert steps_to_target(r).tolist() == [10.0, 110.0, 200.0, math.inf]
    # right once and wrong again counts as arrived; .9 itself is enough
    counts = [[180 if k == 2 else 179] * seeds for k in range(len(r.curve_epochs))]
    once = r.model_copy(update={"curve_validation_correct": counts})
    assert steps_to_target(once).tolist() == [30.0] * seeds
    batches = r.model_copy(update={"steps_per_epoch": 2})
    assert steps_to_target(batches).tolist() == [20.0, math.inf, math.inf, math.inf]
    for lacking in ({"epochs_run": (200, 200, 200, 150)}, {"curve_epochs": ()}):
        with pytest.raises(NotStoredError, match="200 training steps of linear"):
            steps_to_target(r.model_copy(update=lacking))


def test_fewer_steps_are_better_and_written_as_fewer():
    one = planted("C13", "better")
    for comparison in one.comparisons:
        assert comparison.verdict.word == "better"
        assert (comparison.a.value, comparison.b.value) == (50.0, 100.0)
        assert comparison.difference.value == -50.0
    assert "50.0 [50.0, 50.0] against" in one.measured[0] and "-50.0" in one.measured[0]


def test_c8_says_which_half_it_judges():
    from qmoe.claims.written import said

    assert said(planted("C8", "better")) == (
        "holds (in accuracy; the function space is beside it, noise is not judged yet)"
    )


def test_the_best_control_is_shown_without_a_word_and_chosen_on_validation():
    cells = [*pair_cells(BY_ID["C1"], ["better", "better"])]
    # best on the test part, worst on validation: it must not be chosen
    lure = cell(
        *("moons(noise=0.1)", "MLP h=4", [1.0] * 30),
        validation_correct=[[100] * 30 for _ in range(12)],
        chosen=[0] * 30,
        parameters=32,
    )
    ceiling = cell("moons(noise=0.1)", "SVC rbf kernel", [1.0] * 30, family="ceiling")
    [line, other] = beside(evidence(*cells, lure, ceiling), BY_ID["C1"])
    assert line.startswith("moons(noise=0.1): best of 2 controls")
    assert "(linear 30 times) 0.870" in line and "minus it +0.030" in line
    assert "best of 1 controls" in other
    assert not any(word in line for word in ("better", "worse", "equivalent"))


def test_the_smallest_mlp_that_is_not_behind_is_named():
    claim = BY_ID["C5"]
    cells = [
        c.model_copy(update={"router_parameters": 18}) if c.router == "MLP h=2" else c
        for c in pair_cells(claim, ["equivalent", "equivalent"])
    ]
    behind = cell("moons(noise=0.1)", "MLP h=1", accuracies(0.8, 30), parameters=11)
    larger = cell("moons(noise=0.1)", "MLP h=4", accuracies(0.9, 30), parameters=32)
    context = beside(evidence(*cells, behind, larger), claim)
    [first, second] = [text for text in context if text.startswith("smallest")]
    assert "MLP h=2 (18 parameters)" in first and "4.5 times its parameters" in first
    assert "MLP h=2 (18 parameters)" in second and "smallest of 1" in second


def test_stored_verdicts_are_checked_and_never_read():
    good = with_verdicts(evidence(*pair_cells(BY_ID["C1"], ["better", "worse"])))
    assert good.verdicts["C1"].verdict == "partly"
    assert disagreements(good) == ()
    assert disagreements(good.model_copy(update={"verdicts": {}})) == ()
    wrong = {
        "verdict": {"verdict": "holds"},
        "words": {"words": dict.fromkeys(good.verdicts["C1"].words, "better")},
        "figures": {"figures": dict.fromkeys(good.verdicts["C1"].words, (0.03, 0.02, 0.05))},
    }
    for update in wrong.values():
        bad = {**good.verdicts, "C1": good.verdicts["C1"].model_copy(update=update)}
        told = good.model_copy(update={"verdicts": bad})
        assert [line[:3] for line in disagreements(told)] == ["C1:"]
        assert judged(told) == judged(good)
    fewer = {name: v for name, v in good.verdicts.items() if name != "C7"}
    assert "C7: no verdict is stored" in disagreements(good.model_copy(update={"verdicts": fewer}))


# The second implementation: scipy's tests and five lines of Holm, from the raw counts.


def holm(p: list[float]) -> list[float]:
    order, worst, out = sorted(range(len(p)), key=lambda i: p[i]), 0.0, [0.0] * len(p)
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, p[i] * (len(p) - rank)))
        out[i] = worst
    return out


def t_test(d: np.ndarray, at: float, side: str, overlap: float) -> float:
    if np.all(d == d[0]):
        gap = d[0] - at
        return float({"two-sided": gap == 0, "greater": gap <= 0, "less": gap >= 0}[side])
    # Nadeau and Bengio: the same t with a larger error
    shrink = 1 / math.sqrt(1 + len(d) * overlap)
    found = stats.ttest_1samp(d, at, alternative=side)
    t = float(found.statistic) * shrink
    below = float(stats.t.cdf(t, len(d) - 1))
    return {"two-sided": 2 * min(below, 1 - below), "greater": 1 - below, "less": below}[side]


def figures_of(r: CellResult, claim: Claim) -> np.ndarray:
    best = [
        min(
            (-row[i], r.validation_loss[t][i], t)
            for t, row in enumerate(r.validation_correct)
            if row[i] is not None
        )[2]
        for i in range(len(r.seeds))
    ]
    assert list(r.chosen) == best, r.router
    if claim.metric == "test accuracy":
        return np.array(r.test_correct) / r.rows["test"]
    out = []
    for i in range(len(r.seeds)):
        seen = [
            epoch * r.steps_per_epoch
            for epoch, row in zip(r.curve_epochs, r.curve_validation_correct, strict=True)
            if row[i] / r.rows["validation"] >= TARGET
        ]
        out.append(-min([*seen, HORIZON]))
    return np.array(out, dtype=float)


def derived_again(evidence: Evidence, claim: Claim) -> list[tuple[str, float]] | None:
    """Word and mean difference of every pair; None where a cell is missing or ambiguous."""
    margin, rows = MARGINS[claim.metric], []
    for pair in claim.pairs:
        sides = []
        for name in (pair.router, pair.control):
            named = [
                r
                for r in evidence.results
                if (r.dataset, r.router, r.experts, r.protocol)
                == (pair.dataset, name, claim.experts, "controlled")
            ]
            asked = evidence.studies.get(claim.study, ())
            named = [r for r in named if r.key in asked] or named
            if len(named) != 1:
                return None
            sides += named
        a, b = sides
        d = figures_of(a, claim) - figures_of(b, claim)
        new_split = a.population == "this data set, new split"
        overlap = a.rows["test"] / a.rows["train"] if new_split else 0.0
        counts = {sum(row[0] is not None for row in r.validation_correct) for r in sides}
        tuned = len(counts) == 1 and min(counts) >= 12 and not any("like" in r.cell for r in sides)
        enough = len(d) >= (10 if new_split else 30)
        rows.append((d, overlap, "" if tuned and enough else "n" if tuned else "untuned"))
    tested = [row for row in rows if not row[2]]
    different = holm([t_test(d, 0.0, "two-sided", o) for d, o, _ in tested])
    alike = holm(
        [max(t_test(d, -margin, "greater", o), t_test(d, margin, "less", o)) for d, o, _ in tested]
    )
    words = iter(
        "equivalent" if e < 0.05 else ("worse", "better")[bool(d.mean() > 0)] if p < 0.05
        else "inconclusive"
        for (d, _, _), p, e in zip(tested, different, alike, strict=True)
    )  # fmt: skip
    aside = {"n": "inconclusive (n too small)", "untuned": "untuned"}
    return [(aside[why] if why else next(words), float(d.mean())) for d, _, why in rows]


def check_against_second_implementation(evidence: Evidence) -> int:
    compared = 0
    for one in judged(evidence):
        if not one.claim.pairs:
            continue
        again = derived_again(evidence, one.claim)
        found = [c for c in one.comparisons if c.metric == one.claim.metric]
        assert (again is None) == (not found), one.claim.id
        if again is None:
            continue
        sign = -1 if one.claim.metric == "steps to target" else 1
        assert [c.verdict.word for c in found] == [word for word, _ in again]
        ours = [sign * c.difference.value for c in found]
        assert ours == pytest.approx([mean for _, mean in again], abs=1e-12)
        compared += 1
    return compared


@pytest.mark.parametrize("claim", COMPARED)
def test_planted_verdicts_by_a_second_implementation(claim):
    rng = np.random.default_rng(int(claim[1:]))
    for _ in range(4):
        words = rng.choice(list(PLANTED), len(BY_ID[claim].pairs)).tolist()
        cells = [
            c.model_copy(
                update={
                    "test_correct": tuple(
                        int(np.clip(n + rng.normal(0, rng.choice([5, 60, 300])), 0, c.rows["test"]))
                        for n in c.test_correct
                    )
                }
            )
            for c in pair_cells(BY_ID[claim], words)
        ]
        assert check_against_second_implementation(evidence(*cells)) >= 1


FILES = [resources.files("qmoe").joinpath(LEDGER, name) for name in COMMITTED]
FILES = [file for file in FILES if file.is_file()]


@pytest.mark.skipif(not FILES, reason="no committed evidence yet")
def test_every_committed_verdict_is_derived_again():
    parts = [Evidence.from_bytes(file.read_bytes(), file.name) for file in FILES]
    for part in parts:
        assert part.verdicts and disagreements(part) == ()
        # what a verdict needs and no more
        assert part == part.small()
    assert check_against_second_implementation(united(parts)) == len(COMPARED)


# The command


def write(path: Path, found: Evidence) -> str:
    found.write(path)
    return str(path)


@pytest.fixture
def qmoe(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *words: call(monkeypatch, capsys, *words)


def test_the_command_prints_every_claim_within_the_terminal(qmoe, tmp_path):
    path = write(tmp_path / "e.gz", evidence(*pair_cells(BY_ID["C1"], ["better", "worse"])))
    code, out, err = qmoe("claims", path)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert [line.split()[0] for line in out.splitlines() if line.startswith("C")] == list(BY_ID)
    flat = " ".join(out.split())
    assert "94 % against 65 %" in flat and "verdict partly" in flat
    assert "qmoe study ablation && qmoe claims latest --claim C1" in flat
    assert "[0.899, 0.901]" in flat  # not swallowed as markup
    assert "2 to 8 qubits" in flat and "\x1b" not in out


def test_one_claim_as_json(qmoe, tmp_path):
    path = write(tmp_path / "e.gz", evidence(*pair_cells(BY_ID["C2"], ["better"] * 2, seeds=1)))
    code, out, err = qmoe("claims", path, "--claim", "C2", "--json")
    assert (code, err) == (0, "")
    [one] = json.loads(out)["claims"]
    assert (one["id"], one["verdict"]) == ("C2", "undecided")
    assert one["comparisons"][0]["difference"][1:] == [None, None]


def test_export_writes_the_small_form_with_verdicts_that_pass_again(qmoe, tmp_path):
    full = evidence(*pair_cells(BY_ID["C7"], ["better", "better"]))
    path = write(tmp_path / "e.gz", full)
    assert qmoe("claims", path, "--export", "out.gz")[0] == 0
    exported = Evidence.read(tmp_path / "out.gz")
    assert exported == with_verdicts(full.small())
    assert exported.verdicts["C7"].verdict == "holds"
    assert qmoe("claims", "out.gz", "--export", "again.gz")[0] == 0
    assert (tmp_path / "again.gz").read_bytes() == (tmp_path / "out.gz").read_bytes()


def test_a_stored_verdict_that_is_not_derived_again_fails_and_is_named(qmoe, tmp_path):
    good = with_verdicts(evidence(*pair_cells(BY_ID["C7"], ["worse", "worse"])))
    told = good.verdicts["C7"].model_copy(update={"verdict": "holds"})
    bad = good.model_copy(update={"verdicts": {**good.verdicts, "C7": told}})
    path = write(tmp_path / "e.gz", bad)
    code, out, err = qmoe("claims", path, "--export", "out.gz")
    assert code == 1 and err.count("\n") == 1
    assert "C7: 'holds' is stored, the results give 'does not hold'" in err
    assert "does not hold" in out and not (tmp_path / "out.gz").exists()


def test_tampering_is_one_line_with_its_exit_code(qmoe, tmp_path):
    path = Path(write(tmp_path / "e.gz", evidence(*pair_cells(BY_ID["C7"], ["worse", "worse"]))))
    content = json.loads(gzip.decompress(path.read_bytes()))
    content["results"][0]["test_correct"][0] -= 1
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    code, out, err = qmoe("claims", str(path))
    assert (code, out) == (2, "") and err.count("\n") == 1 and "digest" in err
    # signed again, but with a choice that its own counts contradict
    content.pop("sha256")
    content["results"][0]["chosen"][0] = 5
    plain = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    signed = {**content, "sha256": hashlib.sha256(plain.encode()).hexdigest()}
    path.write_bytes(gzip.compress(json.dumps(signed).encode()))
    code, out, err = qmoe("claims", str(path))
    assert (code, out) == (1, "") and err.count("\n") == 1 and "not what validation chose" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("claims", "nowhere"), "run 'nowhere'"),
        (("claims", "--claim", "C15"), "claim 'C15'"),
    ],
)
def test_bad_input_is_one_line(qmoe, words, message):
    code, out, err = qmoe(*words)
    assert (code, out) == (2, "") and err.count("\n") == 1 and message in err
