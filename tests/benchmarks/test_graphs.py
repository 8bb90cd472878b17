import csv
import json
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

import graphs as package
from benchmarks import graph_scale, graphs, resident
from benchmarks.equality import WrongResultError
from benchmarks.graph_cases import OURS, Candidate, Case
from benchmarks.graph_compositions import COMPOSITIONS
from benchmarks.graph_generators import GENERATORS
from benchmarks.graph_measures import MEASURES
from benchmarks.weighted_measures import WEIGHTED

NEURONS = 300


@pytest.mark.parametrize("title", graphs.CASES)
def test_all_candidates_agree(title):
    """Seeds are fixed but for igraph's: five standard deviations, 6e-7 for each of its cases."""
    case = graphs.CASES[title]
    results = {
        name: candidate.run(case.given(name, NEURONS))
        for name, candidate in case.candidates.items()
    }
    case.assert_equal(title, NEURONS, results)


def test_every_generator_and_measure_has_a_case():
    titles = {title.partition(",")[0] for title in graphs.CASES}
    named = {name for name in package.measures.__all__ if name.islower()}
    assert named <= titles
    assert {case.family for case in GENERATORS.values()} == {"generator"}
    assert {case.family for case in COMPOSITIONS.values()} == {"composition"}
    assert {case.family for case in (*MEASURES.values(), *WEIGHTED.values())} == {"measure"}


def _case(**peers):
    return Case(family="generator", candidates={OURS: Candidate(lambda n: n), **peers})


@pytest.mark.parametrize("wrong", [101, 99, np.nan, [100, 100]])
def test_a_wrong_number_is_found_before_anything_is_timed(monkeypatch, capsys, wrong):
    monkeypatch.setitem(graphs.CASES, "layered", _case(igraph=Candidate(lambda _: wrong)))
    monkeypatch.setattr(graphs, "interleaved", lambda *_, **__: pytest.fail("was timed"))
    assert graphs.main(["--only", "layered", "--neurons", "100", "--no-peaks"]) == 1
    assert "error: layered, 100 neurons: igraph has" in capsys.readouterr().err


def test_what_is_within_the_tolerance_is_equal():
    case = Case(
        family="measure",
        candidates=_case(igraph=Candidate(lambda n: n + 2)).candidates,
        tolerance=lambda neurons, ours: 0.01 * neurons + 0 * ours,
    )
    case.assert_equal("any", 200, {OURS: 200, "igraph": 202})
    with pytest.raises(WrongResultError, match="igraph has 203, graphs 200, allowed are 2"):
        case.assert_equal("any", 200, {OURS: 200, "igraph": 203})


def test_what_would_take_too_long_or_too_much_is_skipped(monkeypatch):
    arguments = graphs._parse(["--patience", "3", "--no-peaks"])
    case = _case(
        linear=Candidate(int), square=Candidate(int, power=2), large=Candidate(int, most=1000)
    )
    known = {"linear": (1000, 0.2), "square": (1000, 0.2)}
    told = {
        name: graphs._obstacle(case, name, 10_000, known, arguments) for name in case.candidates
    }
    assert told[OURS] is None
    assert told["linear"] is None
    assert told["square"] == "skipped: would take about 20.0 s"
    assert graphs._parse(["--no-peaks"]).patience == 20
    assert told["large"] == "skipped: not above 1000 neurons, for its memory"


def test_ours_has_more_patience():
    case, known = _case(peer=Candidate(int)), {OURS: (1000, 2.9), "peer": (1000, 2.9)}
    for options, own in ((["--patience", "3"], 30), (["--own-patience", "29"], 29)):
        arguments = graphs._parse([*options, "--no-peaks"])
        assert arguments.own_patience == own
        told = graphs._obstacle(case, OURS, 10_000, known, arguments)
        assert told is None
        arguments.own_patience = 28
        told = graphs._obstacle(case, OURS, 10_000, known, arguments)
        assert told == "skipped: would take about 29.0 s"
    assert graphs._obstacle(case, "peer", 10_000, known, arguments) is not None


def _row(peer, ratio, same_work=True):
    return {"case": "any", "neurons": 9, "peer": peer, "ratio": ratio, "same_work": same_work}


def test_goals_are_judged_where_both_do_the_same():
    rows = [_row("networkx", 99.0), _row("networkx", 101.0), _row("networkx", 1.0, False)]
    found = graphs._judge("networkx", 100.0, rows)
    assert (found["judged"], found["reached"]) == (2, False)
    assert found["missed"] == [{"case": "any", "neurons": 9, "ratio": 99.0}]
    assert "1 of 2, NOT reached" in graphs._told(found)
    assert graphs._judge("networkx", 100.0, rows[1:])["reached"]
    assert "not measured" in graphs._told(graphs._judge("igraph", 1.0, [_row("igraph", None)]))


def test_everything_is_written(tmp_path, capsys):
    everything, table = tmp_path / "graphs.json", tmp_path / "graphs.csv"
    options = ["--only", "reciprocity", "--neurons", "200", "--rounds", "1", "--no-peaks"]
    assert graphs.main([*options, "--json", str(everything), "--csv", str(table)]) == 0
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["peer"] for line in lines] == [OURS, "networkx", "igraph"]
    assert all(line["case"] == "reciprocity" and float(line["median_ms"]) > 0 for line in lines)
    assert all(line["igraph"] and line["networkx"] for line in lines)
    assert float(lines[0]["ratio"]) == 1
    found = json.loads(everything.read_text())
    assert [goal["peer"] for goal in found["goals"]] == ["networkx", "igraph"]
    assert "reached" in capsys.readouterr().out


def test_a_run_goes_on_with_the_rows_of_another(monkeypatch, tmp_path, capsys):
    table = tmp_path / "graphs.csv"
    options = ["--csv", str(table), "--neurons", "100", "--rounds", "1", "--no-peaks", "--resume"]
    case = _case(igraph=Candidate(int))
    for title in ("layered", "join"):
        monkeypatch.setitem(graphs.CASES, title, case)
    assert graphs.main(["--only", "join", *options]) == 0
    written = table.read_text()
    assert graphs.main(["--only", "join", *options]) == 0
    assert table.read_text() == written
    # A wrong result stops no other case, and is measured again.
    wrong = _case(igraph=Candidate(lambda n: n + 1))
    monkeypatch.setitem(graphs.CASES, "layered", wrong)
    assert graphs.main(["--only", "layered", "--only", "join", *options]) == 1
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["case"] for line in lines] == ["layered"] * 2 + ["join"] * 2
    assert [line["note"][:24] for line in lines] == ["wrong: layered, 100 neur"] * 2 + [""] * 2
    assert written.splitlines()[1:] == table.read_text().splitlines()[3:]
    monkeypatch.setitem(graphs.CASES, "layered", case)
    assert graphs.main(["--only", "layered", *options]) == 0
    assert "wrong" not in table.read_text()
    assert graphs.graph_rows.seconds(graphs.graph_rows.read(table), "layered", 100).keys() == {
        OURS,
        "igraph",
    }
    assert capsys.readouterr().err.count("join, 100 neurons") == 1


@pytest.mark.usefixtures("peaks")
def test_a_peak_is_about_what_comes_out():
    # 10^6 synapses, whose two ends are 16 MB; what is needed to make them is some times as much.
    seconds, taken = graphs._first("fixed_total", OURS, 100_000, 60.0)
    assert 0 < seconds < 60
    assert 16e6 < taken < 160e6


@pytest.mark.usefixtures("peaks")
def test_a_call_is_stopped_at_the_limit(capsys):
    options = ["--only", "fixed_total", "--neurons", "100000", "--limit", "0.001"]
    options += ["--own-patience", "0.001"]
    assert graphs.main(options) == 0
    assert capsys.readouterr().out.count("skipped: stopped after 0.001 s") == 4


def test_what_ends_early_or_lacks_memory_is_told(monkeypatch):
    for error, told in ((BrokenProcessPool, "was killed"), (MemoryError, "out of memory")):

        def end(*_, error=error):
            raise error

        monkeypatch.setattr(resident, "in_fresh_process", end)
        with pytest.raises(graphs._StoppedError, match=told):
            graphs._first("fixed_total", OURS, 100, 60.0)


@pytest.mark.parametrize(
    "options",
    [
        ["--neurons", "99"],
        ["--neurons", "many"],
        ["--only", "reciprocities"],
        ["--patience", "0"],
        ["--patience", "nan"],
        ["--own-patience", "0"],
        ["--rounds", "0"],
        ["--limit", "0"],
        ["--resume"],
        ["--resume", "--csv", __file__],
        ["extra"],
        ["scale", "--neurons", "10"],
        ["scale", "--only", "reciprocity"],
        ["scale", "--rounds", "2"],
    ],
    ids=" ".join,
)
def test_bad_options_are_refused(options, capsys):
    with pytest.raises(SystemExit) as ended:
        graphs.main(options)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_where_peaks_cannot_be_measured_the_reason_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(resident, "_RESET", tmp_path / "no" / "clear_refs")
    for options in ([], ["scale"]):
        with pytest.raises(SystemExit):
            graphs.main(options)
        assert "error: peaks need Linux and a writable" in capsys.readouterr().err
    assert graphs._parse(["--no-peaks"]).no_peaks


@pytest.mark.usefixtures("peaks")
@pytest.mark.parametrize("name", graph_scale.CASES)
def test_a_large_graph_has_about_a_hundred_synapses_a_neuron(name):
    synapses, seconds, taken = graph_scale.run(name, 2500)
    # At most half of them are lost at the borders of a small graph.
    assert 2500 * (5 if name == "small_worldness" else 50) < synapses <= 2500 * 101
    assert seconds > 0
    assert taken > 0


@pytest.mark.parametrize(
    ("seconds", "gigabytes", "verdict"), [(59, 5.9, True), (61, 5.9, False), (59, 6.1, False)]
)
def test_a_goal_is_reached_in_time_and_memory(monkeypatch, capsys, seconds, gigabytes, verdict):
    found = 10**8, float(seconds), int(gigabytes * 1e9)
    monkeypatch.setattr(resident, "in_fresh_process", lambda *_: found)
    monkeypatch.setattr(resident, "obstacle", lambda: None)
    assert graphs.main(["scale", "--only", "grid_local"]) == 0
    assert ("NOT reached" in capsys.readouterr().out) is not verdict


def test_another_size_is_not_judged(monkeypatch, capsys):
    monkeypatch.setattr(resident, "in_fresh_process", lambda *_: (10**5, 1.0, 10**9))
    monkeypatch.setattr(resident, "obstacle", lambda: None)
    assert graphs.main(["scale", "--only", "grid_local", "--neurons", "1000"]) == 0
    assert "not judged at this size" in capsys.readouterr().out
