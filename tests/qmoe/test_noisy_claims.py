"""C4, C8 and C12 from stored figures by seed: every word, planted, and two files as one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from qmoe.claims import CLAIMS, disagreements, judged, with_verdicts
from qmoe.claims.claim import combined
from qmoe.claims.judging import beside
from qmoe.claims.written import as_json, heading, said
from qmoe.errors import QmoeError
from qmoe.evidence import Evidence, united
from tests.qmoe.planted import accuracies, cell, evidence, measured
from tests.qmoe.planted_noise import MOONS, under_noise

BY_ID = {claim.id: claim for claim in CLAIMS}
OTHER = "moons(noise=0.2)"


def exact(result):
    """The accuracies of a cell: counts over rows."""
    return (np.array(result.test_correct) / result.rows["test"]).tolist()


def pair(mean=0.95, control=0.93, seeds=30, dataset=MOONS, **changes):
    a = cell(dataset, "quantum L=2", accuracies(mean, seeds), **changes)
    return a, cell(dataset, "linear", accuracies(control, seeds, stream=1))


def c4(*parts, **more):
    [one] = judged(evidence(*parts, **more), [BY_ID["C4"]])
    return one


def falling(slope):
    return lambda strength: slope * strength


@pytest.mark.parametrize(
    ("slope", "control", "word", "text"),
    [
        (0.8, 0.93, "holds", "breaks at 0.025"),
        (2.5, 0.93, "does not hold", "breaks at 0.0"),
        (0.4, 0.93, "does not hold", "breaks at 0.0"),
        (0.05, 0.93, "does not hold", "does not break up to 0.1"),
        (0.8, 0.97, "does not hold", "no advantage at zero noise"),
        (0.8, 0.95, "does not hold", "no advantage at zero noise"),  # equivalent
    ],
)
def test_c4_by_its_breakdown_point(slope, control, word, text):
    a, b = pair(control=control)
    one = c4(a, b, measured(*under_noise(exact(a), falling(slope))))
    assert one.verdict == word and text in one.measured[0], one
    assert said(one) == f"{word} (noise after each gate, exact probabilities)"


def test_c4_stays_open_where_it_cannot_be_judged():
    a, b = pair()
    wide = under_noise(exact(a), falling(0.8), spread=0.08)
    assert c4(a, b, measured(*wide)).verdict == "undecided"
    short = under_noise(exact(a), falling(0.05), strengths=(0.0, 0.01, 0.02))
    one = c4(a, b, measured(*short))
    assert one.verdict == "undecided" and "does not break up to 0.02" in one.measured[0]
    few = pair(seeds=12)
    one = c4(*few, measured(*under_noise(exact(few[0]), falling(0.8))))
    assert one.verdict == "undecided" and "12 seeds" in one.reason
    cheap = pair(trials=11)
    one = c4(*cheap, measured(*under_noise(exact(cheap[0]), falling(0.8))))
    assert one.verdict == "undecided" and "11 trials" in one.reason


def test_c4_is_judged_on_both_data_sets_where_both_are_stored():
    a, b = pair()
    c, d = pair(dataset=OTHER)
    first = measured(*under_noise(exact(a), falling(0.8)))
    second = measured(*under_noise(exact(c), falling(2.5), dataset=OTHER))
    one = c4(a, b, c, d, first, second)
    assert one.verdict == "partly" and len(one.measured) == 2
    assert c4(c, d, second).verdict == "not judged yet"


def test_without_figures_of_noise_it_is_said_what_to_run():
    a, b = pair()
    assert c4(a, b).verdict == "not judged yet"
    assert "accuracy under noise of quantum L=2" in c4(a, b).reason
    for name in ("C4", "C12"):
        assert BY_ID[name].command == f"qmoe run noise && qmoe claims latest --claim {name}"
    other = measured(*under_noise(exact(a), falling(0.8), placement="wire"))
    assert c4(a, b, other).verdict == "not judged yet"
    figures = under_noise(exact(a), falling(0.8))
    lost = figures[3].model_copy(update={"per_seed": (None, *figures[3].per_seed[1:])})
    one = c4(a, b, measured(*figures[:3], lost, *figures[4:]))
    assert one.verdict == "not judged yet" and "every seed" in one.reason
    twice = figures[3].model_copy(update={"per_seed": figures[2].per_seed})
    assert "several" in c4(a, b, measured(*figures), measured(twice)).reason
    assert "from 0 upwards" in c4(a, b, measured(*figures[1:])).reason
    assert c4(a, b, measured(*under_noise(exact(a)[:20], falling(0.8)))).verdict == "not judged yet"


def test_beside_c4_one_thing_is_changed_at_a_time_and_gets_no_claim_word():
    a, b = pair()
    parts = [
        measured(*under_noise(exact(a), falling(0.8))),
        measured(*under_noise(exact(a), falling(2.0), placement="wire")),
        measured(*under_noise(exact(a), falling(0.5), trained="noise-aware")),
        measured(*under_noise(exact(a), falling(1.2), layers=12)),
        measured(*under_noise(exact(a), falling(1.2), shots=100)),
    ]
    lines = beside(evidence(a, b, *parts), BY_ID["C4"])
    assert len(lines) == 5
    assert "against the best control, chosen on validation per seed: breaks at" in lines[0]
    told = "\n".join(lines)
    for text in ("quantum L=12 against", "placement wire", "trained noise-aware", "shots 100"):
        assert text in told
    assert not any(word in told for word in ("holds", "does not hold"))
    assert beside(evidence(a, b), BY_ID["C4"]) == ()


def deep(loss_deep, loss_flat, gain=0.03):
    cells = [
        cell(data, f"quantum L={layers}", accuracies(0.9 + gain * (layers == 4), 30, stream=layers))
        for data in (MOONS, OTHER)
        for layers in (1, 4)
    ]
    figures = [
        figure
        for layers, loss, one in ((1, loss_flat, cells[0]), (4, loss_deep, cells[1]))
        for figure in under_noise(exact(one), falling(loss), layers=layers)
    ]
    return cells, measured(*figures)


@pytest.mark.parametrize(
    ("gain", "loss", "word", "outcomes"),
    [
        (0.03, 3.0, "holds", ["better", "better", "better"]),
        (0.03, 1.0, "partly", ["better", "better", "equivalent"]),
        (0.0, 3.0, "partly", ["equivalent", "equivalent", "better"]),
        (0.0, 1.0, "does not hold", ["equivalent", "equivalent", "equivalent"]),
        (-0.03, 0.0, "does not hold", ["worse", "worse", "worse"]),
    ],
)
def test_c8_needs_both_halves(gain, loss, word, outcomes):
    cells, figures = deep(loss, 1.0, gain)
    found = evidence(*cells, figures)
    [one] = judged(found, [BY_ID["C8"]])
    assert one.verdict == word
    assert [c.verdict.word for c in one.comparisons] == outcomes
    names = [c.name for c in one.comparisons]
    assert len(set(names)) == 3 and names[2].endswith("accuracy lost to noise")
    stored = with_verdicts(found)
    assert set(stored.verdicts["C8"].words) == set(names) and disagreements(stored) == ()
    [half] = judged(evidence(*cells), [BY_ID["C8"]])
    assert "noise is not judged yet" in half.scope and "qmoe run noise" in half.reason
    assert [c.verdict.word for c in half.comparisons] == outcomes[:2]


def test_a_loss_is_that_of_the_same_seeds_by_scipy():
    cells, figures = deep(3.0, 1.0)
    [one] = judged(evidence(*cells, figures), [BY_ID["C8"]])
    at = {(f.labels["layers"], f.labels["strength"]): f.per_seed for f in figures.figures}
    loss = {n: np.subtract(at[n, 0.0], at[n, 0.02]) for n in (1, 4)}
    t = stats.ttest_rel(loss[4], loss[1])
    last = one.comparisons[-1]
    assert last.verdict.p == pytest.approx(t.pvalue, rel=1e-6)
    assert last.difference.value == pytest.approx(0.04, abs=1e-4)
    assert "loses more" in one.measured[-1] and "accuracy lost to noise" in one.measured[-1]


@pytest.mark.parametrize(
    ("loss", "word"), [(3.0, "holds"), (1.0, "does not hold"), (0.0, "does not hold")]
)
def test_c12_compares_what_quantum_and_linear_experts_lose(loss, word):
    linear = cell(MOONS, "quantum L=2", accuracies(0.95, 30))
    quantum = cell(MOONS, "quantum L=2 quantum experts", accuracies(0.94, 30, stream=1))
    figures = [
        *under_noise(exact(linear), falling(1.0)),
        *under_noise(exact(quantum), falling(loss), experts="quantum"),
    ]
    [one] = judged(evidence(linear, quantum, measured(*figures)), [BY_ID["C12"]])
    assert one.verdict == word
    [bare] = judged(evidence(linear, quantum), [BY_ID["C12"]])
    assert bare.verdict == "not judged yet"


def test_the_word_of_parts():
    assert combined(()) == "undecided" == combined((None,)) == combined((True, None))
    assert combined((True, False, None)) == "partly"
    assert combined((True, True)) == "holds" and combined((False,)) == "does not hold"


def two_files():
    cells, figures = deep(3.0, 1.0)
    noisy = Evidence.model_validate(
        dict(evidence(*cells[:2], figures, studies={"noise": (cells[0].key, figures.key)}))
        | {"provenance": evidence().provenance.model_copy(update={"command": "qmoe run noise"})}
    )
    paper = evidence(*cells, studies={"efficiency": tuple(c.key for c in cells)})
    return with_verdicts(paper), with_verdicts(noisy)


def test_two_files_are_judged_as_one_and_checked_apart():
    paper, noisy = two_files()
    both = united((paper, noisy))
    assert paper.verdicts["C8"].verdict == "holds" and len(paper.verdicts["C8"].words) == 2
    [one] = judged(both, [BY_ID["C8"]])
    assert len(one.comparisons) == 3 and one.scope == BY_ID["C8"].scope
    assert set(both.studies) == {"efficiency", "noise"} and len(both.results) == 4
    assert both.verdicts == {} and disagreements(paper, noisy) == ()
    wrong = noisy.verdicts["C8"].model_copy(update={"verdict": "holds"})
    told = noisy.model_copy(update={"verdicts": {**noisy.verdicts, "C8": wrong}})
    assert len(disagreements(paper, told)) == 1
    assert "'qmoe run paper'" in heading(paper, noisy) and "'qmoe run noise'" in heading(
        paper, noisy
    )
    commands = [p["provenance"]["command"] for p in as_json(both, (one,), (paper, noisy))["parts"]]
    assert commands == ["qmoe run paper", "qmoe run noise"]
    assert united((paper,)) is paper


def test_runs_that_differ_in_a_shared_part_are_no_one_evidence():
    paper, noisy = two_files()
    slower = [r.model_copy(update={"seconds": 99.0}) for r in noisy.results]
    united((paper, noisy.model_copy(update={"results": tuple(slower)})))
    changed = noisy.results[0].model_copy(
        update={"test_correct": tuple(n - 1 for n in noisy.results[0].test_correct)}
    )
    with pytest.raises(QmoeError, match=f"differ in what they found for part {changed.key}"):
        united((paper, noisy.model_copy(update={"results": (changed, *noisy.results[1:])})))


def test_the_small_form_keeps_the_values_by_seed_that_verdicts_rest_on():
    a, b = pair()
    kept = under_noise(exact(a), falling(0.8))
    dropped = under_noise(exact(a), falling(0.8), name="regret under noise")
    full = evidence(a, b, measured(*kept, *dropped))
    small = full.small()
    by_name = {f.name: f.per_seed for f in small.figures[0].figures}
    assert by_name["regret under noise"] == () and len(by_name["accuracy under noise"]) == 30
    # per strength, the value and its interval stay
    assert [f.value for f in small.figures[0].figures] == [f.value for f in (*kept, *dropped)]
    assert judged(small, [BY_ID["C4"]]) == judged(full, [BY_ID["C4"]])
    assert beside(small, BY_ID["C4"]) == beside(full, BY_ID["C4"])
    assert small.small() == small
