"""What a look into the page says about the session: a pure judgement."""

from collections.abc import Mapping
from typing import Any

from adapters.whatsapp_web import page_values
from domain.ports import Ack, SessionState

Judgement = tuple[SessionState, str]

_BY_MODE: Mapping[str, Judgement] = {
    "SYNCING": (SessionState.SYNCING, "syncing"),
    "OFFLINE": (SessionState.DEGRADED, "offline"),
    "CONFLICT": (SessionState.CONFLICT, "used_elsewhere"),
    "PROXYBLOCK": (SessionState.RESTRICTED, "proxy_block"),
    "TOS_BLOCK": (SessionState.RESTRICTED, "tos_block"),
    "SMB_TOS_BLOCK": (SessionState.RESTRICTED, "smb_tos_block"),
    "DEPRECATED_VERSION": (SessionState.DEGRADED, "deprecated_version"),
}


def judge(session: Mapping[str, Any] | None, *, code: bool, was_linked: bool) -> Judgement:
    """State and reason from what bridge.js read.

    `code`: a QR code is on show; `was_linked`: this browser was ready before.
    The library's own ready flags do not mean logged in, so ready needs every sign at once.
    """
    if session is None:
        return SessionState.LOADING, "page_loading"
    mode = session["mode"]
    if mode == "QR":
        if was_linked:
            return SessionState.LOGGED_OUT, "unlinked"
        if session["idle"]:
            return SessionState.QR, "idle"
        return (SessionState.QR, "scan") if code else (SessionState.LOADING, "waiting_for_code")
    if mode in _BY_MODE:
        return _BY_MODE[mode]
    if mode != "MAIN":
        return SessionState.LOADING, "unknown_mode"
    if session["needsUpdate"]:
        return SessionState.DEGRADED, "needs_update"
    if not session["online"]:
        return SessionState.DEGRADED, "offline"
    if session["authenticated"] and session["registered"] and session["mainReady"]:
        return SessionState.READY, "main"
    return SessionState.SYNCING, "main_loading"


def ack_of(said: object) -> Ack:
    """WhatsApp's acknowledgement number in the domain's words. Raises BadValue for what is none."""
    number = int(page_values.number(said))
    if number < 0:
        return Ack.FAILED
    return (Ack.PENDING, Ack.SENT, Ack.DELIVERED, Ack.READ)[min(number, 3)]
