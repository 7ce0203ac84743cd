"""Tests that share what takes long to start run on one worker of a run; all others wherever there is room."""

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it comes without types

WHATSAPP = "tests/adapters/whatsapp/"
SHARING = {
    "a browser": tuple(f"{WHATSAPP}test_{name}.py" for name in ("faults", "page", "phone_page", "view")),
    "a linked account": (WHATSAPP,),  # the rest of them
    "a projected log": ("tests/rebuild/",),
}


class Together(LoadScopeScheduling):  # type: ignore[misc]  # as above
    """Hands out tests one by one, and those that share something together, and first: they take longest."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def scope_of(test: str) -> str:
    """What a test shares with others, or itself."""
    return next((shared for shared, paths in SHARING.items() if test.startswith(paths)), test)
