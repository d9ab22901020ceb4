"""Tests of this folder need torch, which only the extra `train` brings."""

import pytest

torch = pytest.importorskip("torch", reason="pip install 'xbarc[train]'")
torch.set_num_threads(1)  # tests run side by side
