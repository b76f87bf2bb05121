from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given

from qmoe import serial
from qmoe.ansatz import notebook, paper
from qmoe.circuit import GATES, Circuit, Feature, Op, Sum, Weight
from qmoe.errors import InputError
from qmoe.simulate.reference import probabilities
from tests.qmoe.strategies import EXAMPLES, circuits, spread, values

SMALL = Circuit(
    3,
    (
        Op("ry", (0,), (Sum((Feature(0), Weight(1, -0.5)), 0.25),)),
        Op("rx", (1,), (Feature(1),)),
        Op("mark_embedding", ()),
        Op("cz", (0, 1)),
        Op("phased_xz", (2,), (0.5, Weight(0), 0.0)),
    ),
    (2, 0),
    num_features=2,
    num_weights=2,
)
GOLDEN_JSON = (
    '{"format":1,"measured":[2,0],"num_features":2,"num_qubits":3,"num_weights":2,"ops":['
    '{"angles":[{"offset":0.25,"terms":[{"feature":0},{"scale":-0.5,"weight":1}]}],'
    '"gate":"ry","qubits":[0]},'
    '{"angles":[{"feature":1}],"gate":"rx","qubits":[1]},'
    '{"gate":"mark_embedding","qubits":[]},'
    '{"gate":"cz","qubits":[0,1]},'
    '{"angles":[0.5,{"weight":0},0.0],"gate":"phased_xz","qubits":[2]}]}'
)
GOLDEN_DIGEST = "1b4cb0e2158e86c4b9837a5ea5358a17f804271e9516cd21edbfac50cf1eebec"


class TestJson:
    @EXAMPLES
    @given(circuits())
    def test_round_trip_is_exact(self, circuit):
        text = circuit.to_json()
        again = Circuit.from_json(text)
        assert again == circuit
        assert again.to_json() == text
        assert again.digest == circuit.digest

    def test_format_1_is_pinned(self):
        assert SMALL.to_json() == GOLDEN_JSON
        assert Circuit.from_json(GOLDEN_JSON) == SMALL
        assert SMALL.digest == GOLDEN_DIGEST

    def test_spaces_and_order_do_not_matter(self):
        tree = json.loads(GOLDEN_JSON)
        shuffled = json.dumps(dict(reversed(tree.items())), indent=2)
        assert Circuit.from_json(shuffled) == SMALL

    def test_whole_numbers_and_unsorted_sums_are_read(self):
        tree = json.loads(GOLDEN_JSON)
        tree["ops"][0]["angles"] = [{"terms": [{"weight": 0, "scale": 0}, {"feature": 1}]}]
        tree["ops"][1]["angles"] = [3]
        circuit = Circuit.from_json(json.dumps(tree))
        assert circuit.ops[0].angles == (Feature(1),)
        assert circuit.ops[1].angles == (3.0,)

    def test_digests_round_angles_and_tell_circuits_apart(self):
        def digest(angle, measured=(0,), num_features=1):
            return Circuit(1, (Op("ry", (0,), (angle,)),), measured, num_features).digest

        assert digest(0.3) == digest(0.1 + 0.2)
        assert digest(1e-14) == digest(0.0) == digest(Feature(0, 1e-14))
        assert digest(-1e-14) == digest(0.0)
        digests = {digest(0.3), digest(0.31), digest(Feature(0)), digest(0.3, num_features=2)}
        assert len(digests) == 4
        assert paper(2, 1).digest != paper(2, 1, measured=(1, 0)).digest

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"format": 2}, "newer than this program"),
            ({"format": 0}, "circuit format 0"),
            ({"format": True}, "circuit format True"),
            ({"format": 1.0}, "circuit format 1.0"),
            ({"format": "1"}, "circuit format '1'"),
            ({"num_qubits": "3"}, "num_qubits '3'"),
            ({"num_qubits": 3.0}, "num_qubits 3.0"),
            ({"num_qubits": True}, "num_qubits True"),
            ({"num_qubits": 10**9}, "at most 100000"),
            ({"num_weights": 10**30}, "at most 100000"),
            ({"num_features": None}, "num_features None"),
            ({"measured": 0}, "measured 0"),
            ({"measured": [0, 0]}, "qubits that differ"),
            ({"measured": "01"}, "measured '01'"),
            ({"num_weight": 2}, "did you mean 'num_weights'"),
            ({"ops": {}}, "ops {}"),
            ({"ops": [1]}, "op 1"),
            ({"ops": [{"gate": "ry"}]}, "op without 'qubits'"),
            ({"ops": [{"gate": "rv", "qubits": [0]}]}, "gate 'rv'"),
            ({"ops": [{"gate": ["ry"], "qubits": [0]}]}, "gate"),
            ({"ops": [{"gate": "h", "qubits": [0], "note": 1}]}, "op key 'note'"),
            ({"ops": [{"gate": "h", "qubits": ["0"]}]}, "qubit '0'"),
            ({"ops": [{"gate": "h", "qubits": [3]}]}, "qubit of h 3"),
            ({"ops": [{"gate": "ry", "qubits": [0], "angles": ["1"]}]}, "angle '1'"),
            ({"ops": [{"gate": "ry", "qubits": [0], "angles": [True]}]}, "angle True"),
            ({"ops": [{"gate": "ry", "qubits": [0], "angles": [None]}]}, "angle None"),
            ({"ops": [{"gate": "ry", "qubits": [0], "angles": [{}]}]}, "angle without 'weight'"),
            (
                {"ops": [{"gate": "ry", "qubits": [0], "angles": [{"feature": 0, "weight": 0}]}]},
                "angle key 'weight'",
            ),
            (
                {"ops": [{"gate": "ry", "qubits": [0], "angles": [{"terms": [0.5]}]}]},
                "sum term 0.5",
            ),
            (
                {"ops": [{"gate": "ry", "qubits": [0], "angles": [{"feature": 2}]}]},
                "feature index 2",
            ),
        ],
    )
    def test_what_is_not_a_circuit_is_refused(self, change, message):
        with pytest.raises(InputError, match=re.escape(message)) as caught:
            Circuit.from_json(json.dumps(json.loads(GOLDEN_JSON) | change))
        assert len(str(caught.value)) < 300

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "no JSON"),
            (GOLDEN_JSON[:-1], "no JSON"),
            ("[" * 100_000, "no JSON"),
            ("1" * 5000, "no JSON"),
            ("[]", "a JSON object"),
            ("{}", "circuit without 'format'"),
            ('{"format":1,"format":1}', "doubled key"),
            (GOLDEN_JSON.replace("0.25", "NaN"), "the number NaN"),
            (GOLDEN_JSON.replace("0.25", "1e999"), "angle offset inf"),
            (GOLDEN_JSON.replace('"cz"', '"' + "cz" * 10_000 + '"'), "gate"),
        ],
    )
    def test_broken_text_is_refused(self, text, message):
        with pytest.raises(InputError, match=re.escape(message)) as caught:
            Circuit.from_json(text)
        assert len(str(caught.value)) < 300

    def test_text_without_end_is_refused(self, monkeypatch):
        monkeypatch.setattr(serial, "MAX_CHARACTERS", 10)
        with pytest.raises(InputError, match="at most 10"):
            Circuit.from_json(GOLDEN_JSON)


def read_qasm(text: str, theta: np.ndarray, x: np.ndarray) -> Circuit:
    """The bound circuit of an exported text: a reader of just the OpenQASM 3 that we write."""
    names = {"theta": theta, "x": x}
    definitions = {}
    ops, outcome_bits, size = [], {}, 0

    def number(text: str, local: dict[str, float]) -> float:
        total = 0.0
        for term in text.split(" + "):
            product = 1.0
            for factor in term.split(" * "):
                sign, name = (-1.0, factor[1:]) if factor[:1] == "-" else (1.0, factor)
                if name in local:
                    value = local[name]
                elif match := re.fullmatch(r"(x|theta)_(\d+)", name):
                    value = names[match[1]][int(match[2])]
                else:
                    value = float(name)
                product *= sign * value
            total += product
        return total

    def call(line: str, local: dict[str, float], wires: dict[str, int]) -> None:
        gate, _, angles, qubits = re.fullmatch(r"(\w+)(\((.*?)\))? (.*);", line).groups()
        values = [number(angle, local) for angle in angles.split(", ")] if angles else []
        chosen = [wires[name] for name in qubits.split(", ")]
        if gate in definitions:
            parameters, formal, body = definitions[gate]
            inner = dict(zip(formal, chosen, strict=True))
            for step in re.findall(r"[^;]+;", body):
                call(step.strip(), dict(zip(parameters, values, strict=True)), inner)
        else:
            assert GATES[gate].definition == "", f"{gate} is not in stdgates.inc"
            ops.append(Op(gate, tuple(chosen), tuple(values)))

    header, include, *lines = text.splitlines()
    assert (header, include) == ("OPENQASM 3.0;", 'include "stdgates.inc";')
    for line in lines:
        if match := re.fullmatch(r"gate (\w+)(?:\((.*)\))? (.*) { (.*) }", line):
            angles = match[2].split(", ") if match[2] else []
            definitions[match[1]] = (angles, match[3].split(", "), match[4])
        elif match := re.fullmatch(r"qubit\[(\d+)\] q;", line):
            size = int(match[1])
        elif match := re.fullmatch(r"c\[(\d+)\] = measure q\[(\d+)\];", line):
            outcome_bits[int(match[1])] = int(match[2])
        elif not re.match(r"(input|bit|barrier)\b", line):
            call(line, {}, {f"q[{index}]": index for index in range(size)})
    measured = tuple(outcome_bits[bit] for bit in sorted(outcome_bits, reverse=True))
    return Circuit(size, tuple(ops), measured)


class TestOpenQasm:
    @EXAMPLES
    @given(circuits())
    def test_the_text_says_the_same_circuit(self, circuit):
        theta, x = values(circuit)
        text = circuit.to_qasm3()
        read = read_qasm(text, theta, x[0])
        assert spread(probabilities(read), probabilities(circuit, theta, x[0])) < 1e-12
        assert "mark" not in text

    def test_the_text_is_pinned(self):
        assert SMALL.to_qasm3().splitlines() == [
            "OPENQASM 3.0;",
            'include "stdgates.inc";',
            "input float[64] x_0;",
            "input float[64] x_1;",
            "input float[64] theta_0;",
            "input float[64] theta_1;",
            "gate phased_xz(t, u, v) a { rz(-v) a; rx(t) a; rz(u + v) a; }",
            "qubit[3] q;",
            "bit[2] c;",
            "ry(x_0 + -0.5 * theta_1 + 0.25) q[0];",
            "rx(x_1) q[1];",
            "cz q[0], q[1];",
            "phased_xz(0.5, theta_0, 0.0) q[2];",
            "barrier q;",
            "c[1] = measure q[2];",
            "c[0] = measure q[0];",
        ]

    def test_a_definition_stands_once(self):
        twice = Circuit(2, (Op("rzz", (0, 1), (0.5,)),) * 2, (0,))
        assert twice.to_qasm3().count("gate rzz") == 1
        assert "gate" not in notebook(2, 1).to_qasm3().replace("stdgates", "")
