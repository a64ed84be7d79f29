"""The names of the contract, and the way back from a name to what it means."""

import pytest

from autorollback.naming import AlarmKey, Names, ServiceKey

AUTH = ServiceKey("shop", "auth")


def test_the_first_installation_has_the_plain_names() -> None:
    names = Names()
    assert (names.stack, names.prefix, names.metric_namespace) == (
        "AutoRollback",
        "auto-rollback",
        "AutoRollback",
    )
    assert names.alarm(AUTH, "5xx-rate") == "auto-rollback/shop/auth/5xx-rate"
    assert names.policy_parameter(AUTH) == "/auto-rollback/shop/auth"


def test_another_installation_has_its_own() -> None:
    names = Names("blue")
    assert (names.stack, names.prefix) == ("AutoRollback-blue", "auto-rollback-blue")
    assert names.metric_namespace == "AutoRollback-blue"
    assert names.alarm(AUTH, "latency") == "auto-rollback-blue/shop/auth/latency"
    assert names.policy_parameter(AUTH) == "/auto-rollback-blue/shop/auth"


@pytest.mark.parametrize("name", ["a", "blue", "a1-b2", "a" * 20])
def test_an_installation_is_read_back_from_its_prefix(name: str) -> None:
    assert Names.of_prefix(Names(name).prefix) == Names(name)


@pytest.mark.parametrize("name", ["Blue", "-a", "a-", "a_b", "a" * 21, "ä", "a/b"])
def test_names_that_no_installation_can_have(name: str) -> None:
    with pytest.raises(ValueError, match="context key name"):
        Names(name)


@pytest.mark.parametrize(
    ("alarm", "key"),
    [
        ("auto-rollback/shop/auth/5xx-rate", AlarmKey(AUTH, "5xx-rate")),
        ("auto-rollback/shop/auth/own-team/checkout", AlarmKey(AUTH, "own-team/checkout")),
        ("auto-rollback/shop/auth", None),
        ("auto-rollback/shop/auth/", None),
        ("auto-rollback//auth/latency", None),
        ("auto-rollback-blue/shop/auth/latency", None),
        ("other/shop/auth/latency", None),
    ],
)
def test_whose_alarm_it_is(alarm: str, key: AlarmKey | None) -> None:
    assert Names().parse_alarm(alarm) == key


@pytest.mark.parametrize(
    ("parameter", "key"),
    [
        ("/auto-rollback/shop/auth", AUTH),
        ("/auto-rollback/shop", None),
        ("/auto-rollback/shop/auth/more", None),
        ("/auto-rollback-blue/shop/auth", None),
    ],
)
def test_whose_policy_it_is(parameter: str, key: ServiceKey | None) -> None:
    assert Names().parse_policy_parameter(parameter) == key
