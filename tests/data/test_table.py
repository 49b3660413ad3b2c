"""Tables of each format hold the same columns."""

import io
from pathlib import Path

import numpy as np
import pytest

from qif2hw.data.columns import Choice, choose
from qif2hw.data.table import parse, read_table
from qif2hw.errors import InputError

CSV = "a;b;name\n1;-2.5;x\n;3e2;\n\n7;0;z\n"


def test_the_formats_agree(tmp_path: Path) -> None:
    found = parse(CSV.encode("utf-8-sig"), "t.csv")
    assert found.lines == [2, 3, 5]
    a, b, name = [1.0, np.nan, 7.0], [-2.5, 300.0, 0.0], ["x", None, "z"]
    np.savez(tmp_path / "t.npz", a=a, b=b, name=["x", "", "z"])
    tables = [found, read_table(tmp_path / "t.npz")]
    pyarrow = pytest.importorskip("pyarrow")
    buffer = io.BytesIO()
    columns = {"a": pyarrow.array([1, None, 7]), "b": pyarrow.array(b), "name": pyarrow.array(name)}
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(columns), buffer)
    tables.append(parse(buffer.getvalue(), "t.parquet"))
    for table in tables:
        np.testing.assert_array_equal(table.columns["a"], a)
        np.testing.assert_array_equal(table.columns["b"], b)
        assert table.columns["name"].tolist() == name
    with pytest.raises(InputError, match="not a parquet file"):
        parse(b"PAR1 and nothing else", "t.parquet")


def test_parquet_with_what_python_cannot_hold() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    # Without Arrow's own schema, which has the name once more, encoded.
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table({"abcdefgh": [1.0, 2.0]}), buffer, store_schema=False)
    named = buffer.getvalue().replace(b"abcdefgh", b"abc\xf0\x28fgh")
    far = io.BytesIO()
    parquet.write_table(pyarrow.table({"t": pyarrow.array([10**15], pyarrow.timestamp("ms"))}), far)
    for data in (named, far.getvalue()):
        with pytest.raises(InputError, match=r"t\.parquet: not a parquet file of a table \("):
            parse(data, "t.parquet")


def test_columns_of_an_array_are_a_group(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.arange(24.0).reshape(12, 2), y=np.arange(12.0))
    numbers, remarks = choose(read_table(tmp_path / "t.npz"), Choice(inputs=("x",), targets=("y",)))
    assert (numbers.inputs, remarks) == (("x0", "x1"), ())
    np.testing.assert_array_equal(numbers.x, np.arange(24.0).reshape(12, 2))


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a,b\n1,\x00\n", b'a,b\n"1,2\n', b"PK broken", b"\x93NUMPY"])
def test_what_is_no_table(data: bytes) -> None:
    with pytest.raises(InputError, match=r"t: .*(not a|no line of|has no names)"):
        parse(data, "t")


def test_texts_of_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", a=["1", "2.5", "-3e1"] * 4, y=np.arange(12.0))
    numbers, _ = choose(read_table(tmp_path / "t.npz"), Choice(targets=("y",)))
    assert numbers.x[:3, 0].tolist() == [1.0, 2.5, -30.0]
    with pytest.raises(InputError, match="row 3, column 'a': '1_0' is no number"):
        choose(parse(b"a,y\n1,2\n1_0,3\n" + 12 * b"1,2\n", "t.csv"), Choice(targets=("y",)))
