"""Opt-out words: the whole message, whatever its case, accents, spaces and punctuation; nothing that only holds one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.opting_out import OPT_OUT, folded, opts_out

HEARD = """
STOP | stop |  Stop! | „Stopp.“ | ARRÊT | arre\u0302t | Stop 🛑 | Opt-Out | \uff33\uff34\uff2f\uff30 | dar  de\tbaja
СТОП | Στοπ | إيقاف | ايقاف | 退订 | 수신거부 | बंद करें | HUỶ | İptal
"""
NOT_HEARD = """
 | ? | stop by at five | don't stop | Stopover | unstoppable | the end of May | ok | STOP\tWhen do you open?
s t o p | нет | 好
"""


def texts(lines: str) -> list[str]:
    return [text.replace("\t", "\n") for line in lines.strip("\n").splitlines() for text in line.split("|")]


@pytest.mark.parametrize("text", texts(HEARD))
def test_a_message_that_is_an_opt_out_word_is_heard(text: str) -> None:
    assert opts_out(text)


@pytest.mark.parametrize("text", [*texts(NOT_HEARD), "stop" * 20])
def test_a_message_that_only_holds_one_or_none_is_not(text: str) -> None:
    assert not opts_out(text)


@given(st.text(max_size=60))
def test_folding_is_done_once_and_never_fails(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert opts_out(text) == (len(text) <= 40 and folded(text) in OPT_OUT)


def test_no_word_folds_to_nothing() -> None:
    assert "" not in OPT_OUT
    assert all(len(word) > 1 for word in OPT_OUT)
