"""All threads or one, whichever is faster: the choice, and that no bit depends on it."""

import numba
import pytest
import torch

from qif2hw.nn import QIFNetwork
from qif2hw.nn.functional import compiled
from qif2hw.nn.functional.thread_choice import AGAIN, Choice, masked

NEEDED = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread is all there are")


@NEEDED
@pytest.mark.parametrize("both_faster", [True, False])
def test_the_faster_one_is_taken_and_the_other_tried_now_and_then(both_faster: bool) -> None:
    choice, taken = Choice(), []
    with masked(2):
        for k in range(10 * AGAIN):
            # The first run of each compiles; half way the machine changes.
            both = choice.threads() == 2
            taken.append(both)
            compiles = 100.0 if taken.count(both) == 1 else 0.0
            choice.note(2 if both else 1, compiles + (1.0 if both == (both_faster == (k < 5 * AGAIN)) else 3.0))
    assert taken[:8] == [True] * 4 + [False] * 4
    first, second = taken[8 : 5 * AGAIN], taken[8 * AGAIN :]
    assert first.count(not both_faster) <= 5
    assert second.count(both_faster) <= 3


@NEEDED
def test_a_pass_that_is_held_up_changes_nothing() -> None:
    choice, taken = Choice(), []
    with masked(2):
        for k in range(5 * AGAIN):
            both = choice.threads() == 2
            taken.append(both)
            choice.note(2 if both else 1, (1.0 if both else 2.0) + (50.0 if k % 7 == 6 else 0.0))
    assert taken[8:].count(False) <= 5


def test_the_number_of_threads_is_as_before_after_a_pass_and_after_an_error() -> None:
    before = numba.get_num_threads()
    network = QIFNetwork((1, 64, 64, 2))
    x = torch.rand((200, 1), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    network.run(x).y.sum().backward()
    assert numba.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), masked(1):
        raise ZeroDivisionError
    assert numba.get_num_threads() == before


@NEEDED
def test_no_bit_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for both in (True, False):
        monkeypatch.setattr(Choice, "_all", lambda self, both=both: both)
        compiled._choices.clear()
        torch.manual_seed(0)
        network = QIFNetwork((1, 64, 64, 2))
        x = torch.rand((300, 1), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        with masked(2):
            y = network.run(x).y
            y.square().sum().backward()
        assert list(compiled._choices) != []
        found.append([y.detach(), *(p.grad for p in network.parameters() if p.grad is not None)])
    assert len(found[0]) > 2
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
