"""How a server's fault is told: the server and its address, what is wrong, and what to do; never a password."""

from dataclasses import dataclass

from infra.child import ServerError

CONNECT_SECONDS = 5  # for each step of getting through to a server


class ServerAway(ServerError):
    """The server does not answer, or takes nobody now: it may come back by itself."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as its faults name it: what it is, where, and the setting that says so (none: it is our own)."""

    name: str
    where: str
    setting: str | None

    @property
    def title(self) -> str:
        return f"{self.name} at {self.where}" if self.setting else f"The embedded {self.name}"

    @property
    def correct(self) -> str:
        """What a wrong address or password asks for."""
        return f"correct {self.setting}" if self.setting else "start `drumline up` again"

    def away(self, why: str) -> ServerAway:
        return ServerAway(f"{self.title} does not answer ({why}): start it, or {self.correct}.")

    def fault(self, sentence: str) -> ServerError:
        return ServerError(f"{self.title} {sentence}")

    def correctable(self, sentence: str, do: str = "") -> ServerError:
        """A fault that another address, name or password could mend."""
        return self.fault(f"{sentence}: {do or self.correct}.")
