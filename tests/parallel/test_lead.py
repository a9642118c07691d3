"""How processes end together."""

from __future__ import annotations

from types import SimpleNamespace

import torch.distributed as dist

from maecli.parallel import lead
from maecli.parallel.world import LostProcess


class Store(dict[str, str]):
    """One that is kept by the first process, and gone once that has heard of the other."""

    def wait(self, keys, timeout):
        assert all(key in self for key in keys)

    def set(self, key, value):
        self.clear()

    def get(self, key):
        return self[key]


def test_the_exit_code_is_read_before_the_first_process_may_end(monkeypatch):
    store = Store({"mae/ended": "3"})
    monkeypatch.setattr(dist.distributed_c10d, "_get_default_store", lambda: store)

    def obey():
        raise LostProcess("the first has ended")

    assert lead._obey(SimpleNamespace(obey=obey, lost=True, missing=[], rank=1)) == 3
