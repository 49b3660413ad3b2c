"""Files that nobody wrote by hand: errors of one line, in bounded time and memory.  `run.py` beside it runs longer."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from networks import ordinary

import qif2hw
from qif2hw.bundle import container
from qif2hw.errors import InputError

RUN = Path(__file__).with_name("run.py")


def test_a_few_thousand_cases() -> None:
    done = subprocess.run([sys.executable, RUN, "--cases", "1400"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 failed," in done.stdout


PARTS = qif2hw.compile(ordinary((2, 3, 2)), steps=32, table_bits=3, form="cotangent", rounding="nearest").parts()
GRID = qif2hw.compile(ordinary((2, 3, 2)), steps=32, table_bits=3, form="grid", rounding="nearest").parts()
PLANE = qif2hw.compile(ordinary((2, 3, 2)), steps=32, form="plane", rounding="nearest").parts()


def changed(parts: dict[str, bytes], path: str, value: Any, folder: Path) -> Path:
    """A bundle whose program has another number at a dotted path, with hashes that fit."""
    program = json.loads(parts["program.json"])
    at = program
    *keys, last = (int(key) if key.isdigit() else key for key in path.split("."))
    for key in keys:
        at = at[key]
    assert at[last] != value
    at[last] = value
    others = {name: data for name, data in parts.items() if name not in (container.MANIFEST, "program.json")}
    about = {key: json.loads(parts[container.MANIFEST])[key] for key in ("target", "options", "versions")}
    bundle = folder / "m.qif"
    text = (json.dumps(program, indent=1) + "\n").encode()
    container.write(bundle, container.with_manifest({**others, "program.json": text}, about))
    return bundle


NUMBERS = {
    "edge": (PARTS, "populations.0.ptc.edge", 2**63),
    "edge beyond the cycle": (PARTS, "populations.0.ptc.edge", 2**23 - 1),
    "negative edge": (PARTS, "populations.0.ptc.edge", -1),
    "first octave": (PARTS, "populations.0.ptc.to_potential.first_octave", 2**63),
    "first octave of the phases": (PARTS, "populations.0.ptc.to_phase.first_octave", 3),
    "finer knots than there are": (PARTS, "populations.0.ptc.to_potential.mantissa_bits", 7),
    "layers": (PARTS, "grid.layers", 2**53),
    "one layer more": (PARTS, "grid.layers", 3),
    "a longer trial": (PARTS, "grid.trial", 1e308),
    "a trial of many steps": (PARTS, "grid.trial", 1e7),
    "a short period": (PARTS, "grid.period", 5e-324),
    "one step a period": (PARTS, "grid.period_steps", 1),
    "phase bits": (PARTS, "grid.phase_bits", 2**40),
    "an input outside the trial": (PARTS, "encoders.0.latest", 1e300),
    "inputs": (PARTS, "encoders.0.size", 2**31),
    "depth": (PARTS, "populations.1.depth", 2**62),
    "kick bits": (PARTS, "populations.0.ptc.kick_bits", 63),
    "gain": (PARTS, "populations.0.ptc.late_gain", 2**64),
    "flush drop": (PARTS, "populations.1.flush_drop", 10**30),
    "knots further apart": (GRID, "populations.0.ptc.kick_spacing", 40),
    "phases closer together": (GRID, "populations.0.ptc.phase_spacing", 1),
    "tick gain": (PLANE, "populations.0.ptc.tick_gain", 2**70),
    "a turn of more than one": (PLANE, "populations.0.ptc.sine", 2**40),
    "readout of the inputs": (PARTS, "outputs.0.population", "input"),
    "readout of nothing": (PARTS, "outputs.0.population", "nothing"),
    "a number for a text": (PARTS, "populations.0.name", 7),
    "tau": (PARTS, "populations.0.neuron.tau", 1.7e308),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_no_machine_can_mean(name: str, tmp_path: Path) -> None:
    parts, path, value = NUMBERS[name]
    bundle = changed(parts, path, value, tmp_path)
    start = time.process_time()
    with pytest.raises(InputError, match=r"m\.qif: part 'program\.json': ") as caught:
        qif2hw.load(bundle)
    assert len(str(caught.value).splitlines()) == 1
    assert time.process_time() - start < 2


def test_a_program_that_is_changed_and_possible_is_read(tmp_path: Path) -> None:
    """So that what is refused is refused for its number."""
    loaded = qif2hw.load(changed(PARTS, "populations.0.unit", 0.125, tmp_path))
    loaded.run(loaded.golden.x)
