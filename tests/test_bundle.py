"""The artefact on disk: the same bytes every time, and nothing believed that was not verified."""

import hashlib
import json
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from networks import branched, ordinary

import qif2hw
from qif2hw import bundle as bundles
from qif2hw import files
from qif2hw.bundle import Bundle, container
from qif2hw.errors import InputError


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return qif2hw.compile(ordinary((2, 4, 2)), steps=64, table_bits=5, rounding="nearest")


NAMES = (container.MANIFEST, *container.PARTS)


def folder_of(bundle: Bundle, path: Path) -> Path:
    return bundle.save(f"{path}/")


def test_zip_equals_folder_equals_memory(bundle: Bundle, tmp_path: Path) -> None:
    packed = bundle.save(tmp_path / "m.qif")
    folder = folder_of(bundle, tmp_path / "folder")
    assert zipfile.is_zipfile(packed)
    assert sorted(p.name for p in folder.iterdir()) == sorted(NAMES)
    with zipfile.ZipFile(packed) as archive:
        for name in NAMES:
            assert archive.read(name) == (folder / name).read_bytes()
    assert bundles.load(packed) == bundles.load(folder) == bundle
    assert bundles.load_program(packed) == bundle.program
    again = bundle.save(folder)  # an existing folder is replaced
    assert bundles.load(again) == bundle
    assert {p.name for p in tmp_path.iterdir()} == {"m.qif", "folder"}


def test_same_bytes_twice(bundle: Bundle, tmp_path: Path) -> None:
    again = qif2hw.compile(ordinary((2, 4, 2)), steps=64, table_bits=5, rounding="nearest")
    first, second = bundle.save(tmp_path / "a"), again.save(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    third = bundles.load(first).save(tmp_path / "c")
    assert third.read_bytes() == first.read_bytes()
    other = qif2hw.compile(ordinary((2, 4, 2)), steps=64, table_bits=5, rounding="nearest", weight_bits=7).save(
        tmp_path / "d"
    )
    assert other.read_bytes() != first.read_bytes()


def test_branches_and_products(tmp_path: Path) -> None:
    made = qif2hw.compile(branched(), steps=64, table_bits=5, rounding="nearest")
    assert bundles.load(made.save(tmp_path / "m.qif")) == made


def test_golden_spikes_are_what_the_engine_gives(bundle: Bundle) -> None:
    golden = bundle.golden
    assert golden.x.shape == (17, 2)
    assert golden.x.min() == 0
    assert golden.x.max() == 1
    run = bundle.run(golden.x)
    assert golden.matches(run)
    assert not golden.matches(bundle.run(1 - golden.x))


def test_readable_without_this_project(bundle: Bundle, tmp_path: Path) -> None:
    folder = folder_of(bundle, tmp_path / "m")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["schema"] == 1
    assert manifest["options"]["steps"] == 64
    for name, listed in manifest["parts"].items():
        data = (folder / name).read_bytes()
        assert listed == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    data = (folder / "program.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    place = json.loads((folder / "program.json").read_text())["projections"][0]["weight"]["array"]
    start, end = header[place]["data_offsets"]
    weight = np.frombuffer(data[8 + length :][start:end], "<i2").reshape(header[place]["shape"])
    np.testing.assert_array_equal(weight, bundle.program.projections[0].weight)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["zip", "folder"])
def test_a_flipped_bit_is_found_and_named(bundle: Bundle, tmp_path: Path, name: str, form: str) -> None:
    parts = bundle.parts()
    for place in np.linspace(0, len(parts[name]) - 1, 9).astype(int):
        damaged = bytearray(parts[name])
        damaged[place] ^= 1 << int(place) % 8
        if form == "folder":
            path = tmp_path / "m"
            path.mkdir(exist_ok=True)
            for part, data in (parts | {name: bytes(damaged)}).items():
                (path / part).write_bytes(data)
        else:
            path = tmp_path / "m.qif"
            whole = bundle.save(path).read_bytes()
            at = whole.index(parts[name]) + int(place)
            path.write_bytes(whole[:at] + damaged[place : place + 1] + whole[at + 1 :])
        for read in (bundles.load, bundles.load_program):
            with pytest.raises(InputError, match=name.replace(".", r"\.")):
                read(path)


def test_any_flipped_byte_of_the_zip_gives_the_bundle_or_an_error(bundle: Bundle, tmp_path: Path) -> None:
    path = bundle.save(tmp_path / "m.qif")
    whole = path.read_bytes()
    ends = np.r_[0:60, len(whole) - 700 : len(whole), np.random.default_rng(0).integers(0, len(whole), 200)]
    for at in ends:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        # What the zip format does not check (times, permissions) changes nothing that is read.
        with suppress(InputError):
            assert bundles.load_program(path) == bundle.program


def reseal(parts: dict[str, bytes], **changed: object) -> dict[str, bytes]:
    """Parts with a manifest that fits them: what a forger would do."""
    inside = {name: data for name, data in parts.items() if name != container.MANIFEST}
    manifest = json.loads(parts[container.MANIFEST])
    about = {key: manifest[key] for key in ("target", "options", "versions")}
    sealed = container.with_manifest(inside, about)
    if changed:
        plain = json.loads(sealed[container.MANIFEST]) | changed
        del plain["sha256"]
        digest = hashlib.sha256(container.to_json(plain)).hexdigest()
        sealed[container.MANIFEST] = container.to_json(plain | {"sha256": digest})
    return sealed


def edit(part: str, change: Callable[[bytes], bytes]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda parts: reseal(parts | {part: change(parts[part])})


FORGED: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = {
    "schema": (lambda p: reseal(p, schema=2), r"part 'manifest\.json': schema version 2, .* reads version 1"),
    "format": (lambda p: reseal(p, format="zoo"), "not a manifest of a qif2hw bundle"),
    "options": (lambda p: reseal(p, options=[]), "'options' and 'versions' are needed"),
    "unlisted": (
        lambda p: reseal({k: v for k, v in p.items() if k != "report.json"}),
        r"part 'manifest\.json': it does not list 'report\.json'",
    ),
    "missing": (lambda p: {k: v for k, v in p.items() if k != "model.onnx"}, r"part 'model\.onnx' is missing"),
    "no manifest": (lambda p: {k: v for k, v in p.items() if k != "manifest.json"}, "not a qif2hw bundle"),
    "unknown": (lambda p: p | {"extra.pkl": b"x"}, r"unknown part 'extra\.pkl'"),
    "no json": (edit("report.json", lambda d: b"{" + d), r"part 'report\.json': not a JSON text"),
    "deep": (edit("report.json", lambda d: b'{"a":' + b"[" * 10**5), r"part 'report\.json': not a JSON text"),
    "nan": (edit("report.json", lambda d: b'{"a": NaN}'), r"part 'report\.json': it holds NaN"),
    "list": (edit("program.json", lambda d: b"[]"), r"part 'program\.json': not a JSON object"),
    "kind": (edit("program.json", lambda d: d.replace(b'"QIF"', b'"LIF"')), r"program\.json.*neuron' is no QIF"),
    "field": (edit("program.json", lambda d: d.replace(b'"edge"', b'"hedge"')), r"program\.json.*'edge' is missing"),
    "type": (
        edit("program.json", lambda d: d.replace(b'"depth": 1', b'"depth": true')),
        "'populations.0.depth' is no int",
    ),
    "value": (edit("program.json", lambda d: d.replace(b'"tau": 1', b'"tau": -1')), r"program\.json': tau"),
    "huge": (
        edit("program.json", lambda d: d.replace(b'"phase_bits": ', b'"phase_bits": 99999999999999999')),
        r"part 'program\.json'",
    ),
    "array": (
        edit(
            "program.json", lambda d: d.replace(b'"array": "projections.0.weight"', b'"array": "projections.1.weight"')
        ),
        r"program\.json': the array of 'projections\.0\.weight' is missing",
    ),
    "arrays": (edit("program.safetensors", lambda d: d[:-2]), r"part 'program\.safetensors': not a safetensors file"),
    "dtype": (edit("program.safetensors", lambda d: d.replace(b'"I16"', b'"U16"')), "int16 is needed"),
    "golden": (edit("golden.safetensors", lambda d: d.replace(b'"flush"', b'"flash"')), r"golden\.safetensors': array"),
    "other model": (
        lambda p: reseal(
            p | {"model.onnx": qif2hw.compile(ordinary((1, 3, 2)), steps=64, rounding="nearest").parts()["model.onnx"]}
        ),
        r"part 'model\.onnx': the program and the model have different inputs",
    ),
    "no model": (edit("model.onnx", lambda d: b"junk"), r"part 'model\.onnx': the model: not an ONNX file"),
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_bundles(bundle: Bundle, tmp_path: Path, case: str) -> None:
    forge, message = FORGED[case]
    for path in (tmp_path / "m.qif", f"{tmp_path}/m/"):
        where = container.write(path, forge(bundle.parts()))
        with pytest.raises(InputError, match=message) as caught:
            bundles.load(where)
        assert "\n" not in str(caught.value)


def rezip(path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def test_hostile_zips(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, path = list(bundle.parts().items()), tmp_path / "m.qif"
    assert bundles.load(rezip(path, parts, zipfile.ZIP_DEFLATED)) == bundle  # zipped by hand
    with pytest.raises(InputError, match=r"unknown part '\.\./evil'"):
        bundles.load(rezip(path, [*parts, ("../evil", b"x")]))
    with pytest.raises(InputError, match="unknown part '/etc/evil'"):
        bundles.load(rezip(path, [*parts, ("/etc/evil", b"x")]))
    with pytest.raises(InputError, match=r"part 'program\.json': .*another way than deflate"):
        bundles.load(
            rezip(path, [(n, d) for n, d in parts if n != "program.json"], zipfile.ZIP_STORED)
            and (_append(path, "program.json", dict(parts)["program.json"], zipfile.ZIP_BZIP2))
        )
    with pytest.warns(UserWarning, match="Duplicate name"):
        rezip(path, [*parts, parts[0]])
    with pytest.raises(InputError, match=r"part 'manifest\.json' is there twice"):
        bundles.load(path)
    bomb = [(n, bytes(10**7) if n == "report.json" else d) for n, d in parts]
    rezip(path, bomb, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(container, "MAX_BYTES", 10**6)
    assert path.stat().st_size < 10**6
    with pytest.raises(InputError, match=r"part 'report\.json' is too large"):
        bundles.load(path)


def _append(path: Path, name: str, data: bytes, method: int) -> Path:
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr(name, data)
    return path


def test_not_a_bundle(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        bundles.load(tmp_path / "missing.qif")
    with pytest.raises(InputError, match=r"'manifest\.json' is missing"):
        bundles.load(tmp_path)
    path = tmp_path / "m.qif"
    for data in (b"", b"text", bundle.parts()["model.onnx"], bundle.save(path).read_bytes()[:-30]):
        path.write_bytes(data)
        with pytest.raises(InputError, match="not a qif2hw bundle, or a damaged one"):
            bundles.load(path)
    folder = folder_of(bundle, tmp_path / "m")
    report = folder / "report.json"
    shutil.move(report, tmp_path / "elsewhere")
    report.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"part 'report\.json' is no regular file"):
        bundles.load(folder)


def test_nothing_half_written(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = bundle.save(tmp_path / "m.qif").read_bytes()
    folder = folder_of(bundle, tmp_path / "m")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    other = qif2hw.compile(ordinary((1, 3, 2)), steps=64, table_bits=5, rounding="nearest")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(InputError, match=r"cannot be written \(no space left on device\)"):
            other.save(tmp_path / "m.qif")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(InputError, match="no space left"):
            other.save(folder)
    assert (tmp_path / "m.qif").read_bytes() == good
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert {p.name for p in tmp_path.iterdir()} == {"m.qif", "m"}


def test_a_folder_of_something_else_is_kept(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"it holds something else \('thesis\.tex'\)"):
        bundle.save(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        bundle.save(tmp_path / "a" / "b.qif")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_ordinary_permissions(bundle: Bundle, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert stat.S_IMODE(bundle.save(tmp_path / "m.qif").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_program_needs_numpy_and_safetensors_only(bundle: Bundle, tmp_path: Path) -> None:
    path = bundle.save(tmp_path / "m.qif")
    code = f"""
import sys
for name in ("torch", "lava", "onnx", "numba", "click", "rich", "scipy", "matplotlib", "tomli"):
    sys.modules[name] = None
import qif2hw
from qif2hw.bundle import load_program
assert load_program({str(path)!r}).steps == {bundle.program.steps}
"""
    subprocess.run([sys.executable, "-c", code], check=True)
