"""Whatever is sent, the answer is one that the OpenAPI document describes; nothing is our mistake."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.message import Role
from tests.api.house import ROLES, House, Tenant, problem_in

SOME = "5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77"

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words | st.just(SOME),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
tokens = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
ids = st.sampled_from([SOME, "7", "%00", "💥", "..", "a" * 300])


Callers = Mapping[str, str]


@pytest.fixture(scope="module")
def callers(house: House) -> Callers:
    """The keys of a workspace by role; one that may do everything, one that does not live, and none."""
    tenant = house.tenant()
    everything = house.key(tenant.workspace, *ROLES)
    of_roles = {str(role): tenant.keys[role] for role in ROLES}
    return {"everything": everything, "nobody": "", "dead": "drl_live_" + "0" * 46, **of_roles}


@pytest.fixture(scope="module")
def operations(house: House) -> list[tuple[str, str, dict[str, Any]]]:
    paths = house.app.openapi()["paths"]
    found = [(path, method, operation) for path, methods in paths.items() for method, operation in methods.items()]
    return [one for one in found if "text/event-stream" not in str(one[2])]  # a stream without end is not waited for


Operations = list[tuple[str, str, dict[str, Any]]]


@settings(max_examples=150)
@given(data=st.data())
def test_every_answer_is_a_described_one(
    house: House, callers: Callers, operations: Operations, data: st.DataObject
) -> None:
    ask(house, callers, operations, data)


@pytest.mark.security
@pytest.mark.timeout(1_200)
@settings(max_examples=4_000)
@given(data=st.data())
def test_every_answer_to_thousands_of_requests_is_a_described_one(
    house: House, callers: Callers, operations: Operations, data: st.DataObject
) -> None:
    ask(house, callers, operations, data)


@pytest.mark.parametrize("role", ROLES)
def test_who_asks_for_anothers_commands_is_answered_as_described(tenant: Tenant, role: Role) -> None:
    answer = tenant.ask("GET", "/v1/commands?principal=Zk3Pq81x", role=role)
    assert str(answer.status_code) in tenant.house.app.openapi()["paths"]["/v1/commands"]["get"]["responses"]


def ask(house: House, callers: Callers, operations: Operations, data: st.DataObject) -> None:
    """One request of somebody, whose answer is checked."""
    path, method, operation = data.draw(st.sampled_from(operations), "operation")
    path, options = data.draw(requests(path, operation), "request")
    if key := callers[data.draw(st.sampled_from(["everything", *callers]), "caller")]:
        options["headers"]["Authorization"] = f"Bearer {key}"
    response = house.http.request(method, house.url + path, **options)
    rule = problem_in(response)["rule"] if response.status_code >= 400 else ""
    assert rule != "internal_error"
    # An id of two dots makes it another address, which may be none, or one that does not take the method.
    elsewhere = {"no_such_route", "method_not_allowed"} if ".." in path else {"no_such_route"}
    assert str(response.status_code) in operation["responses"] or rule in elsewhere or response.is_redirect


@st.composite
def requests(draw: st.DrawFn, path: str, operation: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A request to an operation: parameters and bodies like its own, and others."""
    options: dict[str, Any] = {"params": {}, "headers": {}}
    for parameter in operation.get("parameters", []):
        name = parameter["name"]
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", draw(ids))
        elif draw(st.booleans()):
            place, kind = ("params", words) if parameter["in"] == "query" else ("headers", tokens)
            examples = [str(one) for one in parameter.get("schema", {}).get("examples", ())]
            options[place][name] = draw(st.sampled_from(examples) | kind if examples else kind)
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        example = content["application/json"]["example"]
        changes = st.fixed_dictionaries({}, optional=dict.fromkeys(example, values))
        bodies = st.one_of(changes.map(lambda changed: example | changed), values)
        options["content"] = draw(bodies.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=50))
        options["headers"]["Content-Type"] = "application/json"
    elif content:
        options["files"] = {"file": ("list.csv", draw(st.binary(max_size=200)))}
        options["data"] = {"title": draw(words), "country": draw(st.sampled_from(["", "US", "XX"]))}
    return path, options
