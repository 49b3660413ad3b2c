import json

from qif2hw.nn.bench import bench


def test_bench_measures_what_it_says() -> None:
    result = json.loads(json.dumps(bench([((1, 4, 2), 10, "float64")], seconds=0.01)))
    (row,) = result["rows"]
    assert row["network"] == "1-4-2"
    assert row["updates"] == 10 * 4 + 40 * 2
    assert 0 < row["fraction_of_ceiling"] < 1
    assert row["speedup"]["eager torch"] > 1
    assert result["machine"]["ceiling_flops"]["float64"] > 1e8
