"""Weights from elsewhere."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import ordinary

from qif2hw.errors import InputError
from qif2hw.ir import Network, npz


def arrays() -> dict[str, Any]:
    network = ordinary((3, 5, 4, 2))
    weights = {f"w{k}": p.weight for k, p in enumerate(network.projections)}
    return weights | {"phi0": np.concatenate([p.phi0 for p in network.populations])}


def read(path: Path, **options: Any) -> Network:
    return npz.import_npz(path, **({"trial": 6.5, "encode": (0.05, 1.95)} | options))


def test_same_as_layered(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, **arrays())
    assert read(path) == ordinary((3, 5, 4, 2))
    np.savez_compressed(path, **arrays())
    assert read(path) == ordinary((3, 5, 4, 2))
    (readout,) = read(path, scale=2.0, offset=-1.0).readouts
    assert readout.scale.tolist() == [2.0]
    assert readout.offset.tolist() == [-1.0]
    np.savez(path, **{k: a.astype(np.float32) for k, a in arrays().items()})
    assert read(path).projections[0].weight.dtype == np.float64


def change(**new: Any) -> dict[str, Any]:
    return {key: value for key, value in (arrays() | new).items() if value is not None}


WRONG = {
    "unknown key": (change(bias=np.zeros(3)), "unknown key 'bias'"),
    "leading zero": (change(w00=np.zeros((2, 2))), "unknown key 'w00'"),
    "gap": (change(w1=None), "the key 'w1' is missing"),
    "no weights": ({"phi0": np.zeros(3)}, "the key 'w0' is missing"),
    "no phi0": (change(phi0=None), "the key 'phi0' is missing"),
    "no chain": (change(w1=np.zeros((4, 6))), r"do not chain: 'w1' \(4, 6\) expects 6 .* 'w0' \(5, 3\) makes 5"),
    "vector": (change(w0=np.zeros(5)), r"'w0' has shape \(5,\)"),
    "empty": (change(w0=np.zeros((5, 0))), r"'w0' has shape \(5, 0\)"),
    "few phi0": (change(phi0=np.zeros(10)), r"'phi0' has shape \(10,\): the layers have 5 \+ 4 \+ 2 = 11"),
    "phi0 in rows": (change(phi0=np.zeros((11, 1))), r"'phi0' has shape \(11, 1\)"),
    "phi0 large": (change(phi0=np.full(11, 6.0)), r"initial phases lie in \[0, Theta\) = \[0, 6\)"),
    "nan": (change(w0=np.full((5, 3), np.nan)), "holds nan"),
    "text": (change(w0=np.array([["a"]])), "'w0' has type <U1: real numbers"),
    "complex": (change(w0=np.zeros((5, 3), complex)), "'w0' has type complex128"),
    "pickled": (change(w0=np.array([[{}]], dtype=object)), "cannot be read"),
    "odd outputs": (change(w2=np.zeros((3, 4)), phi0=np.zeros(12)), "last layer has 3 neurons"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arrays(tmp_path: Path, case: str) -> None:
    content, message = WRONG[case]
    path = tmp_path / "w.npz"
    np.savez(path, **content)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_wrong_files(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    with pytest.raises(InputError, match="no such file"):
        read(path)
    with pytest.raises(InputError, match="folder"):
        read(tmp_path)
    for data in (b"", b"no npz", b"PK\x03\x04 but no zip"):
        path.write_bytes(data)
        with pytest.raises(InputError, match="not an npz file"):
            read(path)
    with path.open("wb") as file:
        np.save(file, np.zeros((2, 2)))
    with pytest.raises(InputError, match="not an npz file"):
        read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w0", b"no array")
    with pytest.raises(InputError, match="'w0' is not an array"):
        read(path)


def test_size_is_checked_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.npz"
    np.savez_compressed(path, **change(w0=np.zeros((2000, 3))))
    monkeypatch.setattr(npz, "MAX_BYTES", 10_000)
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match="larger than the limit of 10000 bytes"):
        read(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"i0": 0.25}, "I0 = 0.25"),
        ({"tau": 0.0}, "tau = 0"),
        ({"trial": -1.0}, "trial"),
        ({"encode": (0.0, 1.0)}, "inside the trial"),
        ({"encode": (1.0, 6.5)}, "inside the trial"),
        ({"encode": (1.0, 1.0)}, "the first must be smaller"),
        ({"encode": (1.0, float("nan"))}, "the first must be smaller"),
        ({"scale": float("inf")}, "readout scale"),
    ],
)
def test_wrong_settings(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, **arrays())
    with pytest.raises(InputError, match=message):
        read(path, **options)
