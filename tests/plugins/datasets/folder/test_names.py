from __future__ import annotations

import pytest
from maecli_plugins.datasets.folder.names import check_groups

from maecli.api import DataError
from maecli.api.pictures import ByKey, LabelRow, LabelRows


def test_a_group_in_two_splits_is_refused(tmp_path):
    rows = LabelRows.gathered({key: LabelRow(line, "", None, "p") for line, key in enumerate("acb", 2)})
    path = tmp_path / "labels.csv"
    check_groups(path, ByKey.gathered(rows.of, {"a": "train", "b": "train"}), rows)
    with pytest.raises(DataError, match="line 4: group 'p' is in test here and in train in line 2"):
        check_groups(path, ByKey.gathered(rows.of, {"a": "train", "b": "test"}), rows)
