"""The command line as a user meets it: outcomes, exit codes, one-line errors, nothing left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qmoe import cli
from qmoe.results import load
from qmoe.rundir import Run


def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `qmoe WORDS`."""
    monkeypatch.setattr(sys, "argv", ["qmoe", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    code = stop.value.code
    assert isinstance(code, int)
    return code, out, err


@pytest.fixture
def qmoe(monkeypatch, capsys, tmp_path):
    """`qmoe` called in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: call(monkeypatch, capsys, *words)


SMALL = ("--epochs", "20", "--seeds", "2")


def test_train_writes_a_run_that_can_be_read_reported_and_predicted_from(qmoe, tmp_path):
    rows = np.random.default_rng(0).normal(size=(90, 3))
    labels = np.where(rows[:, 0] + rows[:, 1] > 0, "up", "down")
    lines = [
        ",".join([*(repr(float(v)) for v in row), name])
        for row, name in zip(rows, labels, strict=True)
    ]
    Path("mine.csv").write_text("a,b,c,y\n" + "\n".join(lines) + "\n")

    code, out, err = qmoe(
        "train",
        "--data",
        "mine.csv",
        "--target",
        "y",
        "--router",
        "quantum,layers=3",
        *SMALL,
        "--out",
        "r",
    )
    assert (code, err) == (0, "")
    assert "quantum L=3" in out and "no control here to compare it with" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.csv", "r"]

    run = Run.open("r")
    table = load(run)
    assert list(table["seed"]) == [0, 1]
    assert (table["population"] == "this data set, new split").all()
    assert run.provenance.command.startswith("qmoe train --data mine.csv")
    assert (tmp_path / "r/report/index.html").is_file()

    (checkpoint,) = (tmp_path / "r/checkpoints").iterdir()
    code, out, _ = qmoe(
        "predict",
        str(checkpoint),
        "--data",
        "mine.csv",
        "--target",
        "y",
        "--out",
        "p.csv",
        "--json",
    )
    assert code == 0
    scored = json.loads(out)
    assert scored["rows"] == 90
    written = Path("p.csv").read_text().splitlines()
    right = sum(line.split(",")[0] == line.split(",")[1] for line in written[1:])
    assert scored["accuracy"]["value"] == pytest.approx(right / 90)

    page = (tmp_path / "r/report/index.html").read_bytes()
    code, out, _ = qmoe("report", "r", "--out", "again")
    assert code == 0
    assert Path("again/index.html").read_bytes() == page


def test_the_same_command_gives_the_same_figures(qmoe):
    words = ("train", "--router", "mlp,hidden=4", *SMALL, "--json")
    first, second = (json.loads(qmoe(*words, "--out", name)[1]) for name in ("a", "b"))
    assert first["summary"] == second["summary"]
    other = json.loads(qmoe(*words, "--seed", "1", "--out", "c")[1])
    assert other["summary"][0]["accuracy"] != first["summary"][0]["accuracy"]


def test_json_is_all_there_is_on_standard_output(qmoe):
    code, out, _ = qmoe("train", "--router", "linear", *SMALL, "--json", "--out", "r")
    assert code == 0
    value = json.loads(out)
    assert value["run"] == "r"
    assert value["summary"][0]["router"] == "linear"
    frame = load("r")
    assert value["summary"][0]["accuracy"] == pytest.approx(frame["accuracy"].mean())


def test_data_list_names_every_set(qmoe):
    code, out, _ = qmoe("data", "list", "--json")
    names = [row["name"] for row in json.loads(out)]
    assert code == 0
    assert {"moons", "circles", "spirals", "linear", "digits", "breast_cancer", "wine"} <= set(
        names
    )
    code, out, _ = qmoe("data", "list")
    assert code == 0
    assert all(name in out for name in names)


BAD = {
    "unknown router": ("train", "--router", "quantom"),
    "unknown router option": ("train", "--router", "mlp,depth=3"),
    "negative layers": ("train", "--layers", "-1"),
    "layers that are no number": ("train", "--router", "quantum,layers=many"),
    "unknown ansatz": ("train", "--router", "quantum,ansatz=papre"),
    "measured that is no list": ("train", "--router", "quantum,measured=0"),
    "measured that is off": ("train", "--router", "quantum,measured=0/7"),
    "ansatz that is a number": ("train", "--router", "quantum,ansatz=3"),
    "0 seeds": ("train", "--seeds", "0"),
    "negative seed": ("train", "--seed", "-1"),
    "seeds that are no number": ("train", "--seeds", "many"),
    "unknown option": ("train", "--sedes", "3"),
    "unknown command": ("trian",),
    "unknown data": ("train", "--data", "mons"),
    "unknown gate": ("train", "--gate", "softmin"),
    "gate that does not fit": ("train", "--router", "linear", "--gate", "probability"),
    "negative learning rate": ("train", "--lr", "-0.1"),
    "nan learning rate": ("train", "--lr", "nan"),
    "0 epochs": ("train", "--epochs", "0"),
    "0 experts": ("train", "--experts", "0"),
    "top-k above the experts": ("train", "--top-k", "9"),
    "more experts than outcomes": ("train", "--router", "quantum,measured=0/", "--experts", "4"),
    "more features than qubits": ("train", "--data", "wine", "--router", "quantum,num_qubits=4"),
    "too many trigonometric rows": ("train", "--data", "wine", "--router", "trig-product"),
    "0 threads": ("train", "--threads", "0"),
    "no such device": ("train", "--device", "gpu"),
    "no such file": ("train", "--data", "absent.csv", "--target", "y"),
    "unknown suite": ("run", "quack"),
    "no such suite file": ("run", "mine.toml"),
    "unknown study": ("study", "ablatoin"),
    "unknown protocol": ("study", "ablation", "--protocol", "published"),
    "protocol without that data": ("study", "ablation", "--protocol", "notebook", "--data", "wine"),
    "option of another study": ("study", "hunt", "--data", "moons"),
    "0 trials": ("run", "quick", "--trials", "0"),
    "0 trials of one router": ("train", "--trials", "0"),
    "0 workers": ("run", "quick", "--workers", "0"),
    "a class that does not exist": ("train", "--data", "mnist,classes=3/11"),
    "one class": ("train", "--data", "fashion-mnist,classes=3/"),
    "images that do not exist": ("data", "fetch", "mnst"),
    "init scale 0": ("train", "--init-scale", "0"),
    "layer-wise without layers": ("train", "--router", "linear", "--layerwise"),
    "ablation of many features": ("study", "ablation", "--data", "wine"),
    "claims of no run": ("claims", "absent"),
    "no such claim": ("claims", "--claim", "C15"),
    "no run yet": ("report",),
    "no such run": ("report", "yesterday"),
    "no such checkpoint": ("predict", "absent", "--data", "wine"),
}


@pytest.mark.parametrize("words", BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_nothing(qmoe, tmp_path, words):
    code, out, err = qmoe(*words)
    assert (code, out) == (2, "")
    assert err.startswith("qmoe: ") and err.count("\n") == 1
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_messages_say_what_was_got_what_is_expected_and_what_to_do(qmoe):
    _, _, err = qmoe("train", "--router", "quantom")
    assert err == (
        "qmoe: got router 'quantom'; expected one of constant, dephased, frozen-circuit, linear, "
        "low-rank-trig, mlp, product, quantum, random-fourier, subspace, trig-product, "
        "unentangled; did you mean 'quantum'?\n"
    )
    _, _, err = qmoe("train", "--data", "wine", "--router", "quantum,num_qubits=4")
    assert "13 > 4" in err and "--pca 4" in err
    _, _, err = qmoe("train", "--data", "wine", "--router", "trig-product")
    assert "1,594,323" in err


def test_nan_features_and_a_file_cut_short_are_named(qmoe, tmp_path):
    Path("nan.csv").write_text("a,b,y\n1,2,u\n3,nan,d\n")
    code, _, err = qmoe("train", "--data", "nan.csv", "--target", "y")
    assert code == 2 and "'b'" in err and "\n" not in err.strip()

    np.savez(tmp_path / "whole.npz", X=np.zeros((50, 2)), y=np.arange(50) % 2)
    data = Path("whole.npz").read_bytes()
    Path("cut.npz").write_bytes(data[: len(data) // 2])
    code, _, err = qmoe("train", "--data", "cut.npz")
    assert code == 2 and "cut.npz" in err and err.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut.npz", "nan.csv", "whole.npz"]


def test_a_checkpoint_of_a_newer_format_or_altered_is_refused(qmoe, tmp_path):
    assert qmoe("train", "--data", "wine", "--pca", "2", *SMALL, "--out", "r")[0] == 0
    (folder,) = (tmp_path / "r/checkpoints").iterdir()
    head = folder / "checkpoint.json"
    text = head.read_text()

    head.write_text(text.replace('"format": 1', '"format": 2'))
    code, _, err = qmoe("predict", str(folder), "--data", "wine")
    assert code == 2 and err.count("\n") == 1

    head.write_text(text)
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    code, _, err = qmoe("predict", str(folder), "--data", "wine")
    assert code == 2 and "weights.safetensors" in err


def test_an_existing_folder_is_never_written_over(qmoe, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    code, _, err = qmoe("train", *SMALL, "--out", "mine")
    assert code == 2 and "mine" in err
    assert (tmp_path / "mine/notes.txt").read_text() == "keep"
    assert [p.name for p in tmp_path.rglob("*")] == ["mine", "notes.txt"]


def test_a_suite_file_can_name_only_the_projects_own_steps(qmoe):
    Path("evil.toml").write_text('format = 1\nname = "evil"\nsteps = [{ call = "os.path:join" }]\n')
    code, _, err = qmoe("run", "evil.toml")
    assert code == 2 and "os.path:join" in err
    Path("broken.toml").write_text("format = 1\nname = \n")
    code, _, err = qmoe("run", "broken.toml")
    assert code == 2 and "line 2" in err
    Path("newer.toml").write_text('format = 9\nname = "a"\nsteps = [{ call = "qmoe.a:b" }]\n')
    assert qmoe("run", "newer.toml")[0] == 2


@pytest.mark.parametrize(
    "words", [(), ("run",), ("train",), ("study",), ("report",), ("data", "list"), ("predict",)]
)
def test_every_command_has_help_with_an_example(words):
    done = subprocess.run(
        [sys.executable, "-m", "qmoe.cli", *words, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert words == () or "Example: qmoe " + " ".join(words) in " ".join(done.stdout.split())
    assert done.stderr == ""


def test_a_damaged_image_archive_is_one_line_and_nothing_is_left(qmoe, tmp_path, monkeypatch):
    folder = tmp_path / "sets" / "mnist"
    folder.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte.gz").write_bytes(b"\x1f\x8b cut short")
    monkeypatch.setenv("QMOE_DATA_DIR", str(tmp_path / "sets"))
    code, out, err = qmoe("train", "--data", "mnist,classes=0/1", "--pca", "2")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "idx1-ubyte.gz" in err and "Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["sets"]
