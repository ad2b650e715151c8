import pytest

from slipway.errors import SlipwayError
from slipway.triton.model_analyzer import COLUMNS, read_table

ROW = "m_fp32,m_fp32_config_0,2:CPU,8,4,123.5,30.1,31,32,33.5,1.5,20.25"


def test_a_table_is_read_with_numbers_as_numbers(tmp_path):
    path = tmp_path / "analysis.csv"
    path.write_text(f"{','.join(COLUMNS)}\n{ROW}\n{ROW}\n\n", encoding="utf-8")
    rows = read_table(path)
    assert len(rows) == 2
    assert rows[0]["model_config_path"] == "m_fp32_config_0"
    assert rows[0]["max_batch_size"] == 8
    assert rows[0]["perf_throughput"] == 123.5
    assert rows[0]["perf_server_compute_infer"] == 20.25


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(SlipwayError, match="no configuration could be measured") as caught:
        read_table(tmp_path / "analysis.csv")
    assert str(tmp_path) in str(caught.value)
