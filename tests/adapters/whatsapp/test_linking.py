"""Linking by a code that is typed on the phone, and logging out: by the page's own library."""

import random
from pathlib import Path

import pytest

from adapters.whatsapp_web.driver import WhatsAppWeb
from domain.ports import SessionState, Unanswered
from tests.adapters.whatsapp.running import Sandbox, until_state

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_code_typed_on_the_phone_links_the_browser_and_a_log_out_unlinks_it(
    web: WhatsAppWeb, sandbox: Sandbox, profile: Path
) -> None:
    phone = f"+1416555{random.randint(100, 199):04d}"
    session = web.session(profile)
    await session.start(lambda _: None)
    try:
        await until_state(session, SessionState.QR)
        with pytest.raises(Unanswered, match="invalid_number"):
            await session.link_code("call me")
        with pytest.raises(Unanswered, match="not_waiting"):
            await session.log_out()
        code = await session.link_code(phone)
        await sandbox.control.enter_code(code, phone)
        await until_state(session, SessionState.READY)
        assert (await session.own()).number == phone
        with pytest.raises(Unanswered, match="not_waiting"):
            await session.link_code(phone)
        await session.log_out()
        await until_state(session, SessionState.LOGGED_OUT)
    finally:
        await session.stop()
