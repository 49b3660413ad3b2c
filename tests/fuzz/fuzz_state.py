"""What work in progress leaves: checkpoints, shards, jobs, proofs; and descriptions of targets."""

import contextlib
import json
import tempfile
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import mutate
import numpy as np
import safetensors.numpy
from fuzz_format import SAMPLES, Format, as_json, bundles
from mutate import Rng, pick
from networks import ordinary

import qif2hw
from qif2hw.compiler.targets import load_target
from qif2hw.files import read_bytes
from qif2hw.ir import Program
from qif2hw.parity import certify_domain
from qif2hw.workers import run_file
from qif2hw.workers.shards import join
from qif2hw_deploy.submission.job import Job, Request, Submitted

SUBMITTED = (Submitted(7, {1: "shard-1", 2: "shard-2"}), Submitted(8, {0: "join"}))


class Checkpoints(Format):
    name, ending = "checkpoint", ".safetensors"

    @cached_property
    def valid(self) -> list[bytes]:
        from qif2hw.train import train

        made = []
        with tempfile.TemporaryDirectory() as folder:
            for bits in (None, 4):
                path = Path(folder) / f"{bits}"
                train(self.task, steps=2, weight_bits=bits, checkpoint=path)
                made.append(path.read_bytes())
        return made

    @cached_property
    def task(self) -> Any:
        from qif2hw.experiments import tasks

        task = tasks.get("parabola")
        return replace(task, sizes=(1, 3, 2), settings=replace(task.settings, optimizer="soap"))

    def changed(self, rng: Rng, data: bytes) -> bytes:
        try:
            arrays = safetensors.numpy.load(data)
            if rng.integers(2):
                state = json.loads(bytes(arrays["state.json"]))
                # The others say which run it is, and must agree.
                moving = {key: state[key] for key in ("done", "seconds", "adam_steps") if key in state}
                state = state | mutate.json_tree(rng, moving) if rng.integers(4) else mutate.json_tree(rng, state)
                arrays["state.json"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
                return bytes(safetensors.numpy.save(arrays))
            return bytes(safetensors.numpy.save(mutate.some(rng, arrays)))
        except Exception:
            return mutate.raw(rng, data)

    def use(self, path: Path) -> None:
        from qif2hw.train import train

        bits = 4 if b'"weight_bits": 4' in path.read_bytes() else None
        train(self.task, steps=2, weight_bits=bits, checkpoint=path)


class Targets(Format):
    name, ending = "target", ".toml"

    @cached_property
    def valid(self) -> list[bytes]:
        import qif2hw.compiler.targets as home

        return [
            (Path(home.__file__).parent / f"{name}.toml").read_bytes()
            for name in ("loihi2", "loihi1", "loihi2-microcode")
        ]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        lines = data.split(b"\n")
        numbers = [k for k, line in enumerate(lines) if line.startswith(b"value")]
        if not numbers:
            return mutate.raw(rng, data)
        lines[pick(rng, numbers)] = (
            b"value = " + str(pick(rng, [*mutate.WHOLE, *mutate.REAL, "true", "nan", '"x"'])).encode()
        )
        return b"\n".join(lines)

    def use(self, path: Path) -> None:
        from qif2hw.compiler.passes.fit import assess

        assess(bundles()[0].program, load_target(str(path)), 3)


class Shards(Format):
    name, ending = "shard", ".run"

    @cached_property
    def valid(self) -> list[bytes]:
        runs = [
            bundle.run(bundle.golden.x[:SAMPLES], keep=keep) for bundle in bundles() for keep in ("spikes", "counts")
        ]
        # The same bytes in every run of the fuzzer.
        return [run_file.to_bytes(replace(run, seconds=0.5), "key") for run in runs]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        with contextlib.suppress(Exception):  # of what earlier changes left unreadable
            arrays = safetensors.numpy.load(data)
            if rng.integers(2):
                about = as_json(mutate.json_tree(rng, json.loads(arrays["about"].tobytes())))
                arrays["about"] = np.frombuffer(about, np.uint8)
            else:
                arrays = mutate.some(rng, arrays)
            return bytes(safetensors.numpy.save(arrays))
        return mutate.raw(rng, data)

    def use(self, path: Path) -> None:
        run = run_file.from_bytes(read_bytes(path, 1 << 24))[0]
        join([(0, run), (SAMPLES, run)])


class Jobs(Format):
    name, ending = "job", ".json"

    @cached_property
    def valid(self) -> list[bytes]:
        found = []
        for shards in (0, 2):
            job = Job(Path("/nowhere"), Request(("run", "m.qif"), "/", shards, 1, ("--time=1",)), SUBMITTED)
            found.append(as_json(job.plain()))
        return found

    def changed(self, rng: Rng, data: bytes) -> bytes:
        with contextlib.suppress(Exception):
            return as_json(mutate.json_tree(rng, json.loads(data)))
        return mutate.raw(rng, data)

    def use(self, path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "job.json").write_bytes(path.read_bytes())
            job = Job.load(folder)
            assert all(isinstance(name, str) for name in job.request.tasks)
            job.save()


class Proofs(Format):
    name, ending = "proof", ".json"

    @cached_property
    def program(self) -> Program:
        return qif2hw.compile(ordinary((1, 3, 2)), steps=32, rounding="nearest").program

    @cached_property
    def valid(self) -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state"
            certify_domain(self.program, most=10, state=path)
            return [path.read_bytes()]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        with contextlib.suppress(Exception):
            kept = json.loads(data)
            changed = mutate.json_tree(rng, {key: value for key, value in kept.items() if key != "program"})
            return as_json(kept | changed)
        return mutate.raw(rng, data)

    def use(self, path: Path) -> None:
        certify_domain(self.program, most=1, state=path)
