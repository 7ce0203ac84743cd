"""The intake while the disk is nearly full."""

from pathlib import Path
from uuid import uuid4

import orjson

from adapters import wire
from adapters.inbox import Pending
from adapters.runtime.disk import Disk
from tests.small_disk import needs_root, small_disk
from tests.workers.core import HERE, Client, Core, campaign
from workers.requests import command_key

NAME = "campaign.create"


@needs_root
async def test_new_commands_of_the_bus_are_refused_unrecorded_and_those_of_http_go_on(
    house: Core, author: Client, scratch: Path
) -> None:
    with small_disk(scratch / "disk", 8) as small:
        disk = Disk([small.path], 2_000_000)
        small.fill(1_000_000)
        disk.look()
        new, accepted = uuid4(), uuid4()
        async with house.running(house.intake(disk=disk).run):
            refused = await author.ask(NAME, campaign(), command_id=new)
            assert (refused["state"], refused["rule"], refused["field"]) == ("refused", "disk_full", "server")
            raw = orjson.dumps(campaign())
            key = command_key(HERE, author.actor.id, accepted)
            sealed = house.contents.seal(HERE, key, raw)
            row = Pending(key, accepted, HERE, author.actor.id, NAME, wire.digest(NAME, raw), sealed)
            assert await house.inbox.accept(row) is None
            assert (await author.ask(NAME, raw, command_id=accepted))["state"] == "applied"
            small.empty()
            disk.look()
            again = {"Nats-Msg-Id": uuid4().hex}  # as after the broker's window
            later = await author.ask(NAME, campaign(), command_id=new, headers=again)
            assert (later["state"], later["repeated"]) == ("applied", False)
