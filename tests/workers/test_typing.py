"""Before a text one shows as typing, for as long as it takes to write, and before its intent."""

from dataclasses import replace
from pathlib import Path

import pytest

from adapters.sandbox.memory import InstantMessenger
from domain.content import MediaKind
from domain.job import Status
from domain.outgoing import Contact, Location, Media, Outgoing, Poll, Text, typing_time
from domain.send import SendIntended
from tests.workers.sending_house import core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, status_is, submit, told


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        (Text("Hello, you"), 0.4),
        (Text("Hello, you" * 1000), 5.0),
        (Media(MediaKind.IMAGE, Path("x"), "image/png", "x.png", "Hello, you"), 0.0),
        (Location(1, 2), 0.0),
        (Contact("Mei", "+12025550100"), 0.0),
        (Poll("Hello, you?", ("Yes", "No")), 0.0),
    ],
)
def test_the_time_goes_by_a_texts_length_up_to_the_longest(message: Outgoing, seconds: float) -> None:
    assert typing_time(message, 5.0) == pytest.approx(seconds)
    assert typing_time(message, 0.0) == 0.0


async def test_each_recipient_sees_typing_before_each_text_and_before_it_is_intended(
    database_url: str, nats_url: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed: list[tuple[str, float, int]] = []
    typing = InstantMessenger.typing
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):

        async def noted(messenger: InstantMessenger, number: str, seconds: float) -> None:
            typed.append((number, seconds, len([e for e in await told(home) if isinstance(e, SendIntended)])))
            await typing(messenger, number, seconds)

        monkeypatch.setattr(InstantMessenger, "typing", noted)
        home.tools = replace(home.tools, typing=0.2)
        async with running(*sessions(home)):
            await open_workspace(home)
            texts = ("One", "Two and more, to be written for longer")
            job = await submit(home, await link(home, 1), NUMBERS[:2], texts=texts)
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        assert [(seconds, intents) for _, seconds, intents in typed] == [(0.12, 0), (0.2, 1), (0.12, 2), (0.2, 3)]
        assert [entry.chat for entry in home.wire()] == [number for number, _, _ in typed]
