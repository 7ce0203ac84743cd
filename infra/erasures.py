"""Erasures that a database restored from a back-up lacks."""

from infra.settings import Settings


async def erase_again(settings: Settings) -> str:
    """Decide them anew, before anybody works; what is to be said of it, if there are any."""
    if not settings.erasures_file.exists():
        return ""
    from infra.bootstrap import connected, forgetting  # all there is: only who needs it waits for it

    async with connected(settings, "erasures") as parts:
        again = await forgetting(parts).again()
    return f"Erased again, because the database is from before: {again}." if again else ""
