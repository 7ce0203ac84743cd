"""Every setting of drumline, read from the environment here and nowhere else."""

import errno
import os
import secrets
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from adapters.command_limits import CommandLimits
from adapters.dead_letter_quota import DeadLetterQuota
from adapters.runtime.environment import WORKER, allowed
from domain.quota import USUAL_ACT
from infra.child import usable, write_private

KEY_BYTES = 32
Port = Annotated[int, Field(ge=1, le=65_535)]
Most = Annotated[int, Field(ge=1, le=1_000_000)]
Bytes = Annotated[int, Field(ge=1, le=2_000_000_000)]


class SettingsError(Exception):
    """A setting is wrong; the message names it and the rule."""


class Settings(BaseSettings):
    """Read from `DRUMLINE_<NAME>`; an unset one has the default below. `drumline settings` prints this table."""

    model_config = SettingsConfigDict(env_prefix="DRUMLINE_", extra="forbid", frozen=True)

    data_dir: Path = Field(Path(".drumline"), description="Where everything lies: servers' data, keys, profiles, logs.")
    database_url: SecretStr | None = Field(
        None, description="An external PostgreSQL (postgresql://…); unset: the embedded one."
    )
    nats_url: SecretStr | None = Field(None, description="An external NATS (nats://…); unset: the embedded one.")
    nats_users_file: Path | None = Field(
        None, description="The file of keys' users that an external NATS includes; unset: nats-users.conf of the data."
    )
    nats_system_url: SecretStr | None = Field(
        None, description="A user of the external NATS's system account, to reload it by; unset: you are told when to."
    )
    http_host: str = Field("127.0.0.1", description="The address the REST API listens on.")
    http_port: Port = Field(8180, description="The port the REST API listens on.")
    connections_max: Most = Field(1_000, description="Connections the REST API has open at most.")
    connections_per_address: Most = Field(600, description="Connections of one address among these.")
    requests_per_key: Most = Field(100, description="Requests of one key that are answered at once.")
    requests_per_workspace: Most = Field(200, description="Requests of one workspace that are answered at once.")
    bodies_per_key: Most = Field(50, description="Bodies of one key's requests that are on their way in at once.")
    bodies_per_workspace: Most = Field(100, description="Bodies of one workspace's requests, likewise.")
    bodies_max: Most = Field(200, description="Bodies of all requests, likewise.")
    uploads_per_key: Most = Field(8, description="Files that one key sends at once.")
    uploads_per_workspace: Most = Field(16, description="Files that one workspace sends at once.")
    uploads_max: Most = Field(24, description="Files that all send at once.")
    uploads_open: Most = Field(1_000, description="Uploads in chunks that a workspace may have begun.")
    imports_waiting: Most = Field(20, description="Lists of a workspace that are uploaded or wait to be imported.")
    segments_max: Most = Field(1_000, description="Segments that a workspace may keep.")
    attributes_max: Most = Field(30, description="Attributes that a workspace may declare.")
    streams_per_key: Most = Field(20, description="Event streams that one key has open at once.")
    streams_per_workspace: Most = Field(100, description="Event streams that one workspace has open at once.")
    streams_max: Most = Field(500, description="Event streams that are open at once.")
    pool_waiting: Most = Field(100, description="Pieces of one workspace's work that wait for a thread of a pool.")
    metrics_host: str = Field("127.0.0.1", description="The address the workers but the API show /metrics on.")
    metrics_port: Port | None = Field(
        None, description="The core worker's port for /metrics, then sessions, then imports; unset: free ones."
    )
    sandbox_port: Port = Field(8181, description="The port of the sandbox: emulated WhatsApp Web and its phones.")
    nats_port: Port | None = Field(None, description="The embedded NATS's port; unset: a free one, kept afterwards.")
    whatsapp_url: str | None = Field(
        None, description="The page the sessions open; unset: the sandbox. WhatsApp Web itself: read the README first."
    )
    chromium: Path | None = Field(None, description="The browser to use; unset: the machine's, else Playwright's.")
    sessions_max: Annotated[int, Field(ge=1, le=100)] = Field(10, description="Accounts one host drives at most.")
    browser_memory: Annotated[int, Field(ge=256)] = Field(
        2048, description="MB that an account's browser may take; one that takes more is opened anew between two sends."
    )
    send_deadline: Annotated[float, Field(gt=0, le=USUAL_ACT.total_seconds())] = Field(
        30.0, description="Seconds one text may take; a file has a second more for each 256 KB, to 90 in all."
    )
    typing: Annotated[float, Field(ge=0, le=30)] | None = Field(
        None, description="Seconds to show as typing before a text, at most; unset: 5, on the sandbox none."
    )
    unknown_after: Annotated[float, Field(ge=0, le=31_536_000)] = Field(
        86_400.0, description="Seconds after which a send that nobody can tell of is given up."
    )
    duplicate_window: Annotated[float, Field(ge=0.1, le=86_400)] = Field(
        120.0, description="Seconds in which the broker itself drops a repeated command id."
    )
    command_rate: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        CommandLimits().rate, description="Commands a second that a key may give; as many of each may wait on the bus."
    )
    commands_bytes: Annotated[int, Field(ge=1 << 20)] = Field(
        CommandLimits().stream_bytes, description="Bytes of commands that may wait on the bus, all keys' together."
    )
    dead_letters: Annotated[int, Field(ge=4)] = Field(
        DeadLetterQuota().letters, description="Dead letters that a workspace may have; a fourth of them of one key."
    )
    dead_letter_bytes: Annotated[int, Field(ge=1 << 20)] = Field(
        DeadLetterQuota().bytes, description="Bytes of a workspace's dead letters; a fourth of them of one key."
    )
    sweep_after: Annotated[float, Field(ge=0.1, le=3_600)] = Field(
        5.0, description="Seconds after which a command that HTTP accepted and nobody answered is published again."
    )
    stall_after: Annotated[float, Field(ge=1, le=3_600)] = Field(
        60.0, description="Seconds after which a loop that does not go round any more ends its process."
    )
    media_bucket: str | None = Field(
        None, description="An S3 bucket for media; unset: a directory in the data directory."
    )
    media_endpoint: Annotated[str, Field(pattern=r"^https?://")] | None = Field(
        None, description="Where that bucket is, if not at AWS (https://host:port)."
    )
    media_region: str = Field("us-east-1", description="The bucket's region.")
    media_access_key: SecretStr | None = Field(None, description="The bucket's access key; unset: the machine's role.")
    media_secret_key: SecretStr | None = Field(None, description="The secret that goes with the access key.")
    media_largest_image: Bytes = Field(16_000_000, description="Bytes an image may have.")
    media_largest_video: Bytes = Field(16_000_000, description="Bytes a video may have.")
    media_largest_audio: Bytes = Field(16_000_000, description="Bytes a sound or a voice note may have.")
    media_largest_document: Bytes = Field(100_000_000, description="Bytes a document may have.")
    media_largest_sticker: Bytes = Field(500_000, description="Bytes a sticker may have.")
    media_quota: Annotated[int, Field(ge=1)] = Field(
        10_000_000_000, description="Bytes of media that a workspace may keep."
    )
    media_grace: Annotated[float, Field(ge=60, le=31_536_000)] = Field(
        86_400.0, description="Seconds after which media that nothing refers to, and uploads left alone, are removed."
    )
    disk_reserve: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        500, description="MB that stay free under the data directory: with less, new work is refused; 0: never."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")
    log_format: Literal["console", "json"] = Field("console", description="How: lines for people, or JSON.")
    otlp_endpoint: Annotated[str, Field(pattern=r"^https?://")] | None = Field(
        None, description="Where traces go, by OTLP over HTTP; unset: OTEL_EXPORTER_OTLP_ENDPOINT's, else nowhere."
    )
    crashpoint: str = Field("", description="For fault tests: the step before or after which a worker kills itself.")

    @field_validator("data_dir", "nats_users_file")
    @classmethod
    def absolute(cls, path: Path | None) -> Path | None:
        """Children run in other directories."""
        return path and path.absolute()

    @property
    def secrets_dir(self) -> Path:
        return self.data_dir / "secrets"

    @property
    def keys_file(self) -> Path:
        """The API keys `up` and `demo` made for their people: 0600."""
        return self.data_dir / "keys.json"

    @property
    def users_file(self) -> Path:
        """Where the users of an external NATS are written."""
        return self.nats_users_file or self.data_dir / "nats-users.conf"

    @property
    def erasures_file(self) -> Path:
        """The ledger of erasures: what a restored back-up does not know of."""
        return self.data_dir / "erasures.jsonl"

    @property
    def targets_file(self) -> Path:
        """Where Prometheus finds each process: `up` keeps it."""
        return self.data_dir / "prometheus-targets.json"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def api_url(self) -> str:
        return f"http://{self.http_host}:{self.http_port}"

    @property
    def page_url(self) -> str:
        """The page that sessions open."""
        return self.whatsapp_url or self.sandbox_url

    @property
    def typing_longest(self) -> float:
        """Seconds for which an account shows as typing before a text, at most."""
        if self.typing is None:
            return 0.0 if self.whatsapp_url is None else 5.0
        return self.typing

    @property
    def command_limits(self) -> CommandLimits:
        """How much a key, and all together, may have waiting on the bus."""
        return CommandLimits(self.command_rate, self.commands_bytes)

    @property
    def dead_letter_quota(self) -> DeadLetterQuota:
        """What a workspace's dead letters may be."""
        return DeadLetterQuota(self.dead_letters, self.dead_letter_bytes)

    def master_key(self) -> bytes:
        """The key-encryption key of vault and contents: 32 bytes in a 0600 file, made at the first start."""
        return self._secret("master.key")

    def pepper(self) -> bytes:
        """What look-ups by number and stored API keys are keyed with: 32 bytes in a 0600 file."""
        return self._secret("pepper.key")

    def _secret(self, name: str) -> bytes:
        path = self.secrets_dir / name
        if not path.exists():
            for directory in (self.data_dir, self.secrets_dir):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            make_once(path, secrets.token_hex(KEY_BYTES))
        try:
            key = bytes.fromhex(path.read_text())
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise SettingsError(f"{path} must hold {KEY_BYTES} bytes in hexadecimal digits.")
        return key

    def environment(self) -> dict[str, str]:
        """These settings as the environment of a worker, and what a worker needs beside them."""
        values = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None:
                plain = value.get_secret_value() if isinstance(value, SecretStr) else value
                values[f"DRUMLINE_{name.upper()}"] = str(plain)
        return {**allowed(WORKER), **values}


def make_once(path: Path, text: str) -> None:
    """Write a private file unless another process was first."""
    mine = path.with_name(f"{path.name}.{os.getpid()}")
    write_private(mine, text)
    try:
        os.link(mine, path)
    except FileExistsError:
        pass
    finally:
        mine.unlink()


def read(**given: object) -> Settings:
    """The settings of this process; what is given (a command-line option) outweighs the environment.

    Raises SettingsError naming each wrong setting and its rule; a secret's value is never shown; ServerError when the
    data directory could be none.
    """
    known = {f"DRUMLINE_{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith("DRUMLINE_") and name not in known)
    if unknown:
        raise SettingsError(f"{unknown[0]} is not a setting: see `drumline settings`.")
    chosen = {name: value for name, value in given.items() if value is not None}
    if "DRUMLINE_OTLP_ENDPOINT" not in os.environ and (endpoint := os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")):
        chosen.setdefault("otlp_endpoint", endpoint)
    try:
        settings = Settings(**chosen)  # type: ignore[arg-type]  # options are checked by the model itself
    except ValidationError as error:
        wrong = [f"DRUMLINE_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()]
        raise SettingsError("; ".join(wrong)) from None
    with usable(settings.data_dir):
        if not next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists()).is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return settings
