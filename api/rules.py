"""What each rule means: a sentence for people, and the HTTP status of a refusal by it."""

from collections.abc import Mapping
from typing import Any

SENTENCES = {
    # of the HTTP interface
    "no_such_route": "There is nothing at this address.",
    "method_not_allowed": "This address does not take this method; `Allow` names those it takes.",
    "too_large": "The body is larger than this address takes.",
    "bad_request": "The request cannot be read.",
    "unauthenticated": "No live API key came with this: send `Authorization: Bearer drl_live_…`.",
    "role_required": "This needs the role {role}.",
    "unsupported_media_type": "The body must be {media_type}.",
    "idempotency_key_reused": "This Idempotency-Key was used for another body.",
    "bad_idempotency_key": "An Idempotency-Key has 1 to {maximum} printable ASCII characters.",
    "unknown_parameter": "This address takes no such query parameter.",
    "bad_cursor": "A cursor is the `next` of a page of this list, asked for with the same filters.",
    "not_yet_begun": "It did not exist yet: it begins at position {position} of the log.",
    "too_much_since": "More than {maximum} of the job's deliveries changed since then: ask for them page by page.",
    "not_with_at": "There is no such filter for a list of the past.",
    "unavailable": "A server that drumline needs is away for the moment. Nothing was done; try again.",
    "internal_error": "drumline made a mistake. It was logged.",
    "unknown_topic": "A topic is an aggregate (`job`), an event (`job.approved`), or a stream (`job-<id>`).",
    "bad_position": "A position is a whole number, as in an event's id, or `latest`.",
    "ahead_of_log": "The log has not come so far: this is an older copy of it, or another's.",
    "too_many_streams": "This key has {maximum} streams open already; one can carry many topics.",
    "no_room": "{maximum} streams are open here already; try again, or elsewhere.",
    "no_session": "No session worker holds this account now.",
    "no_qr": "The session shows no QR now: it is {status}.",
    "no_link_code": "The session waits for no phone now: it is {status}.",
    "whatsapp_refused": "WhatsApp gave no code ({reason}): try again in a minute, or scan the QR.",
    "crashed": "The command could not be decided, however often it was tried; it was put aside for the operators.",
    # of a body
    "missing": "This field is required.",
    "unknown_field": "There is no such field.",
    "not_json": "The body is not JSON.",
    "not_utf8": "The text is not UTF-8.",
    "not_an_object": "This must be a JSON object.",
    "malformed": "The text does not have the form this field has.",
    "malformed_variable": "A variable is written {{{{name}}}}, {{{{name:format}}}} or {{{{name|default}}}}, in lower case.",
    "string_type": "This must be a text.",
    "string_too_short": "At least {minimum} characters are needed.",
    "string_too_long": "At most {maximum} characters are allowed.",
    "too_short": "At least {minimum} are needed.",
    "too_long": "At most {maximum} are allowed.",
    "list_type": "This must be a list.",
    "bool_type": "This must be true or false.",
    "bool_parsing": "This must be true or false.",
    "int_type": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "int_from_float": "This must be a whole number.",
    "float_type": "This must be a number.",
    "finite_number": "This must be a number.",
    "greater_than_equal": "The number must be at least {minimum}.",
    "less_than_equal": "The number must be at most {maximum}.",
    "uuid_parsing": "This must be a UUID.",
    "uuid_type": "This must be a UUID.",
    "enum": "This is none of the words that are known here.",
    "literal_error": "This is none of the words that are known here.",
    "datetime_type": "This must be a time, as in 2026-11-21T08:00:00Z.",
    "datetime_parsing": "This must be a time, as in 2026-11-21T08:00:00Z.",
    "datetime_from_date_parsing": "This must be a time, as in 2026-11-21T08:00:00Z.",
    "id_reused": "This command id was used for another body.",
    "unknown_command": "There is no such command.",
    "mismatch": "This header does not fit the subject.",
    "unknown_principal": "There is no such key.",
    "foreign_workspace": "The key belongs to another workspace.",
    # of the business
    "unknown_workspace": "The workspace does not exist yet: an admin creates it with POST /v1/workspace.",
    "unknown_account": "There is no such account in this workspace.",
    "unknown_audience": "There is no such audience in this workspace.",
    "unknown_campaign": "There is no such campaign in this workspace.",
    "unknown_job": "There is no such job in this workspace.",
    "unknown_import": "There is no such import in this workspace.",
    "unknown_delivery": "No delivery with this id was begun in this workspace.",
    "unknown_recipient": "Nothing is recorded of this recipient in this workspace.",
    "unknown_command_id": "There is no command with this id in this workspace.",
    "unknown_dead_letter": "There is no such dead letter in this workspace.",
    "not_replayable": "It could not be read, so there is no command to decide again.",
    "not_crashed": "Its command was answered, or waits to be.",
    "replayed": "It was replayed; it can be dropped once its command is answered.",
    "dropped": "It was dropped: its body is gone.",
    "seal_broken": "Its body does not open with this installation's master key.",
    "id_taken": "This id is taken.",
    "out_of_range": "The number must be from {minimum} to {maximum}.",
    "empty": "At least one is needed.",
    "too_few": "At least {minimum} are needed.",
    "too_many": "At most {maximum} are allowed.",
    "not_of_this_kind": "A message of this kind ({kind}) has no such field.",
    "not_an_earlier_part": "A part can reply to an earlier one only: the first is 0.",
    "repeated": "Each may be named once.",
    "archived": "The campaign is archived.",
    "no_audience": "The campaign names no audience yet.",
    "empty_audience": "Nobody is in the campaign's audience.",
    "variable_missing": "{recipients} recipients have no value for the variable {variable}.",
    "account_not_linked": "The account is not linked to a phone (it is {status}): scan its QR first.",
    "account_not_ready": "The account cannot send now (it is {status}).",
    "account_removed": "The account was removed, for good.",
    "account_in_use": "The account can send now: pause it before you remove it.",
    "job_revised": "The job was revised.",
    "not_unknown": "There is no unknown send to be resolved here (the delivery is {status}).",
    "no_time_zone": "The time must name its offset: …08:00:00Z, or …09:00:00+01:00 (in a query written %2B01:00).",
    "in_the_past": "The time has passed.",
    "in_the_future": "The time is still to come.",
    "too_long_ago": "The time lies before 1970.",
    "too_far_ahead": "The time is more than {days} days ahead.",
    "not_in_the_vault": "No import with this digest lies in the vault.",
    "opted_out": "This person opted out; a newer consent of their own is needed.",
    "erased": "This person was erased: they are never written to again.",
    # of media
    "unknown_media": "There is no such media in this workspace.",
    "unknown_upload": "There is no such upload in this workspace: it may have been given up, or taken too long.",
    "empty_file": "The file is empty.",
    "file_too_large": "The file ({kind}) may have at most {maximum} bytes.",
    "unknown_kind": "The content is of no kind that can be sent, whatever its name says.",
    "active_content": "HTML, SVG, scripts and macros are not taken.",
    "ambiguous_content": "The content is more than one type of file at once.",
    "damaged": "The file begins as {mimetype}, but is cut short or damaged.",
    "too_many_pixels": "An image may have at most {maximum} pixels.",
    "quota_reached": "The workspace may keep at most {maximum} bytes of media, and has {used}.",
    "media_in_use": "A campaign, a template or an unfinished job has it.",
    "offset_mismatch": "The upload is at another offset: go on from {offset}.",
    "tus_version": "Only version 1.0.0 of tus is spoken here.",
    "too_many_chunks": "A file comes in at most {maximum} chunks.",
    "beyond_the_end": "The chunk goes beyond the size that the upload was begun with.",
    "bad_url": "The URL must be http:// or https:// with a name or an address, on port 80 or 443, without a password.",
    "address_not_global": "The URL leads to an address that is not a public one of the Internet.",
    "redirected": "The URL leads to another one, which is not followed.",
    "not_fetched": "What is at the URL could not be fetched.",
    "own_job": "A job is answered by another than its submitter.",
    "not_what_was_reviewed": "The hash is not that of the job: look at it again.",
    "not_awaiting_review": "The job does not await review (it is {status}).",
    "not_approved": "The job is not approved (it is {status}).",
    "nothing_to_withdraw": "You have no approval of this job to take back; to stop the job, use /stop.",
    "not_running": "The job is not running (it is {status}).",
    "not_paused": "The job is not paused (it is {status}).",
    "already_over": "The job is over (it is {status}).",
    "already_started": "That is for before the start only: the job has started (it is {status}).",
    "pause_first": "The job is running: pause it first, then revise it.",
    "expired": "The job waited for its start until it expired.",
    "nothing_revised": "Changes were requested, and this revision changes nothing.",
    "another_campaign": "A job stays with its campaign.",
    "not_the_newest": "The campaign's newest version is {newest}.",
    "faster_than_allowed": "The workspace's policy allows no faster pace than {messages} in {seconds} s.",
    "too_early": "The part waits for its time.",
    "too_many_steps": "A job has at most {maximum} steps, and the rest is for starting and ending it: submit another.",
    "both_given": "Give one of `start`, `start_at` and (in a revision) `at_once`.",
    "not_a_local_time": "A local time names no offset: the zone tells it.",
    "unknown_time_zone": "The zone must be an Area/City of the IANA data base, as Europe/Berlin, or UTC.",
    "before_the_start": "The job would expire before it starts.",
}
A_TIME = ("datetime_type", "datetime_parsing", "datetime_from_date_parsing")
A_KEY = "This must be a key's id: 8 letters and digits."
A_HASH = "This must be 64 lower-case hexadecimal digits."
# What a rule means for a field of this name (the last word of its path), where that says more.
OF_FIELDS = {
    **{(rule, "local"): "This must be a time without an offset, as in 2026-11-21T09:00:00." for rule in A_TIME},
    ("malformed", "id"): "This must be the beginning of an id: 4 hexadecimal digits or more.",
    ("malformed", "number"): "This must be a telephone number with its country, as +12025550142.",
    ("malformed", "zone"): "This must be a zone's name, as Europe/Berlin, or UTC.",
    ("malformed", "stream"): "This must be a stream: job-<id>, and so on.",
    ("malformed", "name"): "This must be a command's name, as job.approve.",
    **{("malformed", field): A_KEY for field in ("principal", "created_by", "submitted_by")},
    **{("malformed", field): A_HASH for field in ("review_hash", "digest")},
}
FORBIDDEN = {"role_required", "foreign_workspace", "own_job"}
CONFLICTS = {
    "id_taken",
    "archived",
    "opted_out",
    "erased",
    "account_not_linked",
    "account_not_ready",
    "account_removed",
    "account_in_use",
    "not_unknown",
    "not_what_was_reviewed",
    "not_awaiting_review",
    "not_approved",
    "nothing_to_withdraw",
    "not_running",
    "not_paused",
    "already_over",
    "already_started",
    "pause_first",
    "expired",
    "nothing_revised",
    "not_the_newest",
    "too_many_steps",
    "not_replayable",
    "not_crashed",
    "replayed",
    "dropped",
    "seal_broken",
    "quota_reached",
    "media_in_use",
    "offset_mismatch",
}
UNKNOWN = {"unknown_dead_letter", "unknown_media", "unknown_upload"}
TOO_LARGE = {"too_large", "file_too_large"}


class Spoken(dict[str, Any]):
    """Parameters of a sentence; one that was not given is left as an ellipsis."""

    def __missing__(self, key: str) -> str:
        return "…"


def sentence(rule: str, params: Mapping[str, Any], field: str = "") -> str:
    """The rule in words, for a field."""
    known = OF_FIELDS.get((rule, field.rpartition(".")[2])) or SENTENCES.get(rule)
    return known.format_map(Spoken(params)) if known else f"{rule.replace('_', ' ').capitalize()}."


def status_of(rule: str) -> int:
    """403 for who one is, 404 for what is not there, 409 for how something stands, 422 for what was sent."""
    if rule in FORBIDDEN:
        return 403
    if rule in UNKNOWN:
        return 404
    if rule in TOO_LARGE:
        return 413
    return 409 if rule in CONFLICTS else 422
