import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from qif2hw.bench import others
from qif2hw.errors import InputError
from qif2hw_cli.main import cli

TRAIN = ["bench", "train", "--networks", "1-4-2", "--batch", "5", "--json"]


def test_what_others_took_is_what_is_busy_without_our_own_work() -> None:
    before = others.Reading(10.0, 100.0, 5.0)
    assert others.others(before, others.Reading(12.0, 103.0, 6.0)) == pytest.approx(1.0)
    assert others.others(before, others.Reading(12.0, 101.0, 6.5)) == 0.0
    assert others.others(None, before) is None
    others.refuse(None, "now")
    others.refuse(others.MOST, "now")
    with pytest.raises(InputError, match=r"other programs took 1\.5 of .* cores now: .*--anyway"):
        others.refuse(1.5, "now")


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the counters are those of Linux")
def test_another_program_is_seen_and_our_own_work_is_not() -> None:
    work = "import time\nwhile time.process_time() < 0.5: pass\nprint('done', flush=True)\ninput()"
    before = others.reading()
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        beside = others.reading()
        child.kill()
    after = others.reading()
    assert before is not None
    assert beside is not None
    assert after is not None
    # A child is ours once it has ended and been waited for.
    taken = others.others(before, beside)
    assert taken is not None
    assert taken * (beside.wall - before.wall) > 0.4
    assert beside.own - before.own < 0.4
    assert after.own - before.own > 0.4


def test_a_busy_machine_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "look", lambda: 1.25)
    monkeypatch.setattr("qif2hw.bench.training.bench", lambda *a, **k: pytest.fail("it has measured"))
    refused = CliRunner().invoke(cli, TRAIN)
    assert refused.exit_code == 2
    assert "other programs took 1.2 of" in refused.stderr
    assert refused.stdout == ""


def test_a_machine_that_got_busy_gives_no_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = iter([others.Reading(0.0, 0.0, 0.0), others.Reading(1.0, 2.0, 1.0)])
    monkeypatch.setattr(others, "look", lambda: 0.0)
    monkeypatch.setattr(others, "reading", lambda: next(clock))
    monkeypatch.setattr("qif2hw.bench.scaling.scaling", lambda **k: {"points": []})
    refused = CliRunner().invoke(cli, ["bench", "scaling", "--out", str(tmp_path), "--json"])
    assert refused.exit_code == 2
    assert "during the work" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_anyway_records_what_others_took(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([others.Reading(0.0, 0.0, 0.0), others.Reading(2.0, 4.0, 1.0)])
    monkeypatch.setattr(others, "look", lambda: pytest.fail("it has looked"))
    monkeypatch.setattr(others, "reading", lambda: next(clock))
    monkeypatch.setattr("qif2hw.bench.training.bench", lambda *a, **k: {"rows": [], "peers": {}})
    done = CliRunner().invoke(cli, [*TRAIN, "--anyway"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["machine"]["others"] == pytest.approx(1.5)
