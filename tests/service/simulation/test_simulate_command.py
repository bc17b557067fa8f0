"""`bandstand simulate`, from the arguments to the table and the page."""

from __future__ import annotations

import json
import re
import sys

import pytest

from bandstand.commands.cli import main
from bandstand.strategies import PRUNERS, SAMPLERS, STRATEGIES

STUDY = """
name = "mine"
model = "train:build"
data = "train:load"
sampler = "random"
pruner = "asha"
max_epochs = 9
[budget]
epochs = 200
[space]
learning_rate = { type = "float", low = 1e-5, high = 1e-1, log = true }
units = { type = "int", low = 16, high = 256, log = true }
"""


@pytest.fixture
def bandstand(monkeypatch, capsys, tmp_path):
    """Runs the command line in a folder with study.toml; returns exit code, standard output and standard error."""
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["bandstand", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def test_a_study_is_simulated_as_its_file_says(bandstand):
    code, out, _ = bandstand("simulate", "study.toml", "--workers", "64", "--repeats", "2")
    assert code == 0
    assert "Simulated with 64 virtual workers, a budget of 200 epochs, at most 9 epochs a trial, analytic curves" in out
    assert "The curves are made up" in out
    assert re.search(r"^random\+asha +200 ", out, re.MULTILINE)
    assert "epoch 3" in out
    assert "…" not in out  # the tables fit


def test_strategies_are_compared_in_a_table_and_on_a_page(bandstand, tmp_path):
    arguments = ["--strategies", "random+asha:min_epochs=1,random", "--strategies", "random+hyperband"]
    code, out, _ = bandstand(
        "simulate", "study.toml", *arguments, "--repeats", "2", "--failures", "20", "--out", "page.html"
    )
    assert code == 0
    assert out.rstrip().endswith("page.html")
    page = (tmp_path / "page.html").read_text()
    for name in ("random+asha:min_epochs=1", "random", "random+hyperband"):
        assert re.search(rf"^{re.escape(name)} ", out, re.MULTILINE)
        assert f'<th scope="row">{name}</th>' in page
    for section in ("best_by_epochs", "best_by_time", "worker_time", "rungs", "trial_ends"):
        assert f'<section id="{section}"' in page
        assert f'id="data-{section}"' in page
    figures = {
        name: json.loads(data)
        for name, data in re.findall(r'<script type="application/json" id="data-(\w+)">(.*?)</script>', page)
    }
    parts = {trace["name"] for trace in figures["worker_time"]["data"]}
    assert parts == {"training", "training lost by deaths", "idle"}


def test_tables_in_a_pipe_have_every_number_whole(bandstand):
    strategies = "lr-restarts:cycle_epochs=1,pbt:population=4:interval=1,random+asha:min_epochs=1:reduction_factor=2"
    code, out, _ = bandstand("simulate", "study.toml", "--strategies", strategies, "--repeats", "1", "--workers", "2")
    assert code == 0
    assert "…" not in out
    heading = "strategy +" + " +".join(f"epoch {epoch}" for epoch in range(1, 10))
    assert re.search(rf"^{heading} *$", out, re.MULTILINE)


def test_trials_that_failed_without_failures_are_explained(bandstand, tmp_path):
    arguments = ["study.toml", "--repeats", "2", "--strategies", "random"]
    code, out, _ = bandstand("simulate", *arguments, "--json")
    assert code == 0
    (note,) = [note for note in json.loads(out)["notes"] if "diverged" in note]
    assert re.fullmatch(
        r"[1-9]\d* of \d+ trials diverged, as made-up curves do if the learning rate is too high\. "
        r"Option --failures does not cause this\.",
        note,
    )
    assert note in bandstand("simulate", *arguments)[1]
    lines = STUDY.splitlines(keepends=True)
    (tmp_path / "no_rate.toml").write_text("".join(line for line in lines if not line.startswith("learning_rate")))
    out = bandstand("simulate", "no_rate.toml", *arguments[1:], "--json")[1]
    assert json.loads(out)["strategies"][0]["failed"] == 0
    assert "diverged" not in out


def test_what_a_strategy_would_tell_its_study_is_told_before_it_is_run(bandstand):
    code, out, _ = bandstand(
        "simulate", "study.toml", "--repeats", "1", "--json", "--strategies", "pbt:population=40,random"
    )
    assert code == 0
    (note,) = [note for note in json.loads(out)["notes"] if note.startswith("pbt:")]
    assert "the budget trains each of 40 members for only about 5 of 9 epochs" in note


def test_programs_get_json(bandstand):
    code, out, _ = bandstand("simulate", "study.toml", "--repeats", "1", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["workers"] == 8
    assert found["strategies"][0]["label"] == "random+asha"
    assert found["strategies"][0]["epochs"] == 200


def test_equal_seeds_print_equal_results(bandstand):
    found = [json.loads(bandstand("simulate", "study.toml", "--seed", "5", "--json")[1]) for _ in range(2)]
    for result in found:
        result["strategies"][0].pop("decision_microseconds")
    assert found[0] == found[1]


def test_recorded_curves_need_no_file_and_replace_the_space_of_one(bandstand, data_folder):
    if not (data_folder / "curves" / "taskset").is_dir():
        pytest.skip("BANDSTAND_DATA has no curves/taskset")
    curves = ["--curves", "taskset:imdb_patch32_GRU64_avg_bs128", "--repeats", "1", "--strategies", "random+asha"]
    code, out, _ = bandstand("simulate", *curves, "--max-epochs", "9", "--workers", "4")
    assert code == 0
    assert "No budget was given, so each study gets 72 epochs (2 full trainings per worker)." in out
    code, out, _ = bandstand("simulate", "study.toml", *curves)
    assert code == 0
    assert "The space and the objective of study mine are replaced" in out
    assert "a budget of 200 epochs, at most 9 epochs a trial" in out


def test_recorded_curves_say_what_they_cannot_tell_of_params_that_change(bandstand, data_folder, tmp_path):
    if not (data_folder / "curves" / "taskset").is_dir():
        pytest.skip("BANDSTAND_DATA has no curves/taskset")
    strategies = "random+asha,pbt:population=4:interval=2,lr-restarts:cycle_epochs=2"
    many = ["--strategies", strategies, "--repeats", "1", "--max-epochs", "8", "--budget", "90", "--workers", "2"]
    code, out, _ = bandstand("simulate", "--curves", "taskset:imdb_patch32_GRU64_avg_bs128", *many, "-o", "page.html")
    assert code == 0
    both = "pbt:population=4:interval=2 and lr-restarts:cycle_epochs=2"
    children = f"{both}: recorded curves do not contain changes of params"
    assert children in " ".join(out.split())
    assert "note: lr-restarts:cycle_epochs=2: recorded curves use the learning rate of their params" in out
    assert children in (tmp_path / "page.html").read_text()
    code, out, _ = bandstand("simulate", "study.toml", *many)
    assert code == 0
    assert "recorded curves" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--curves analytic needs a study; got none: name a study file or a built-in study, such as "),
        (
            ["study.toml", "--curves", "lcbanch:1"],
            "curves must be one of analytic, lcbench, taskset; got 'lcbanch:1': ",
        ),
        (["study.toml", "--workers", "0"], "workers must be at least 1; got 0"),
        (["study.toml", "--speeds", "1,0"], "speeds must be numbers above 0, such as 1,1,0.5; got 1,0"),
        (
            ["study.toml", "--speeds", "fast"],
            "--speeds must be numbers with commas between them, such as 1,1,0.5; got 'fast'",
        ),
        (["study.toml", "--failures", "-1"], "deaths_per_hour must be 0 or more; got -1"),
        (["study.toml", "--epoch-seconds", "0"], "an epoch must take more than 0 seconds; got 0"),
        (
            ["study.toml", "--strategies", "hyprband"],
            f"a strategy must be SAMPLER+PRUNER, a sampler ({', '.join(SAMPLERS)}), a pruner ({', '.join(PRUNERS)}) or "
            f"one of {', '.join(STRATEGIES)}; got 'hyprband': did you mean hyperband?",
        ),
        (
            ["study.toml", "--strategies", "tpe+asa"],
            f"the pruner of a strategy must be one of {', '.join(PRUNERS)}; got 'tpe+asa': did you mean asha?",
        ),
        (
            ["study.toml", "--strategies", "tpee:startup_trials=3+asha"],
            f"the sampler of a strategy must be one of {', '.join(SAMPLERS)}; got 'tpee:startup_trials=3+asha': did "
            "you mean tpe?",
        ),
        (
            ["study.toml", "--strategies", "pbt+asha"],
            "pbt+asha: pruner must be left out with sampler pbt, which decides by itself how long each trial trains; "
            "got 'asha'",
        ),
        (["study.toml", "--strategies", "tpe,tpe"], "strategies must differ; got 'tpe' twice: leave out one of them"),
        (
            ["study.toml", "--strategies", "random+asha:min"],
            "an option must be written NAME=VALUE after a colon, such as tpe:startup_trials=5; got ",
        ),
        (["study.toml", "--strategies", "random+asha:min_epochs=x"], "random+asha:min_epochs=x: option min_epochs of "),
        (["study.toml", "--strategies", "grid"], "grid: "),
        (["study.toml", "--budget", "epoch=3"], "a budget must look like one of these: 500 (epochs), 500epochs, "),
        (["study.toml", "--budget", "many"], "a budget must look like one of these: 500 (epochs), 500epochs, "),
        (["study.toml", "--out", "nowhere/x.html"], "the report's folder must exist; 'nowhere' does not: create it"),
        (["none.toml"], "a study file must exist; 'none.toml' does not: check the path"),
        (["study.toml", "--repeats", "0"], "Invalid value for '--repeats': "),
    ],
)
def test_a_mistake_is_answered_in_one_line(bandstand, arguments, message):
    code, out, err = bandstand("simulate", *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith(f"bandstand: {message}")
    assert err.count("\n") == 1
