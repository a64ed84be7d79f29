"""Whatever is wrong in services.yaml is one line that says where, what was given and what is allowed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autorollback.naming import Names, ServiceKey
from autorollback.policy import Mode
from autorollback_cdk.bundling import LAMBDA
from autorollback_cdk.services import Configuration, ConfigurationError, load

GOOD = """
defaults: {families: [auth-*], task_roles: [auth-*]}
services:
  - {cluster: main, service: auth}
"""


def _load(tmp_path: Path, text: str) -> Configuration:
    path = tmp_path / "services.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, Names())


def _with_entry(entry: str) -> str:
    return GOOD + f"  - {{cluster: main, service: mail, {entry}}}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "(document): null given; allowed: a mapping", id="empty file"),
        pytest.param("- a", '(document): ["a"] given; allowed: a mapping', id="a list"),
        pytest.param("services: [", "line 1, column 12: not YAML", id="broken YAML"),
        pytest.param("services: !!python/object:os.system {}", "not YAML", id="a Python object"),
        pytest.param(
            "service: []", "service: [] given; allowed: one of the keys", id="unknown top-level key"
        ),
        pytest.param("defaults: {}", "services: null given; allowed: a list", id="no services"),
        pytest.param(
            "services: []",
            "services: [] given; allowed: a list of services, at least one",
            id="empty services",
        ),
        pytest.param(
            GOOD + "defaults: {}", 'defaults: "twice, in line 2 and line 5"', id="a key twice"
        ),
        pytest.param(
            _with_entry("mode: off, mode: enforce"),
            'services[1].mode: "twice',
            id="a key of a service twice",
        ),
        pytest.param(
            "defaults: {windows: 5}\nservices: []",
            "defaults.windows: 5 given",
            id="unknown default",
        ),
        pytest.param(
            _with_entry("window_minuts: 5"),
            "services[1].window_minuts: 5 given; allowed: window_minutes, which is nearest; one of",
            id="a typo",
        ),
        pytest.param(
            _with_entry("window_minutes: soon"),
            'services[1].window_minutes: "soon" given; allowed: a whole number of minutes from 1 to 10080',
            id="a word for a number",
        ),
        pytest.param(
            _with_entry("window_minutes: 1.5"),
            "services[1].window_minutes: 1.5 given",
            id="half a minute",
        ),
        pytest.param(
            _with_entry("error_rate_percent: 0"), "above 0, at most 100", id="out of bounds"
        ),
        pytest.param(
            _with_entry("mode: on"),
            'services[1].mode: "on" given; allowed: enforce, observe or off',
            id="mode on",
        ),
        pytest.param(
            _with_entry("dedicated_load_balancer: yes"),
            '"yes" given; allowed: true or false',
            id="yes is a word",
        ),
        pytest.param(
            _with_entry("window_minutes: 010"),
            'services[1].window_minutes: "010" given',
            id="octal",
        ),
        pytest.param(
            _with_entry("window_minutes: 1:30"),
            'services[1].window_minutes: "1:30" given',
            id="an hour",
        ),
        pytest.param(
            _with_entry("error_rate_percent: .nan"),
            "error_rate_percent: NaN given",
            id="no number at all",
        ),
        pytest.param(
            GOOD.replace("{families: [auth-*], task_roles: [auth-*]}", "[]"),
            "defaults: [] given",
            id="defaults as a list",
        ),
        pytest.param(
            GOOD + "notifications: false",
            "notifications: false given; allowed: a mapping",
            id="notifications off",
        ),
        pytest.param(
            "services: &a [*a]",
            "services[0]: [[...]] given; allowed: a mapping",
            id="a list of itself",
        ),
        pytest.param(
            "defaults: {[a]: 1}",
            'defaults: "a list or mapping as a key, in line 1',
            id="a list for a key",
        ),
        pytest.param(
            _with_entry("load_balancer: , target_group: "),
            "services[1].load_balancer: null given",
            id="a load balancer left blank",
        ),
        pytest.param(
            _with_entry("families: auth"),
            'services[1].families: "auth" given; allowed: a list',
            id="no list",
        ),
        pytest.param(
            "services:\n  - {cluster: main, service: auth, families: [a]}",
            "services[0].task_roles: missing; allowed: a list of role names",
            id="nothing required is guessed",
        ),
        pytest.param(
            _with_entry("target_group: targetgroup/a/0123456789abcdef"),
            "services[1].load_balancer: missing",
            id="target group alone",
        ),
        pytest.param(
            _with_entry("load_balancer: my-alb"),
            'services[1].load_balancer: "my-alb" given',
            id="a load balancer's name",
        ),
        pytest.param(
            GOOD + "  - {cluster: main, service: auth}\n",
            'services[1]: "main/auth" given; allowed: each service once, and services[0] is the same',
            id="a service twice",
        ),
        pytest.param(
            _with_entry(f"alarms: [{'x' * 230}]"),
            "at most 255 characters (258 now)",
            id="alarm name too long",
        ),
        pytest.param(
            _with_entry("alarms: ['say \"no\"']"),
            "services[1].alarms[0]",
            id="an alarm name that no rule can hold",
        ),
        pytest.param(
            GOOD + "notifications: {emails: [oncall]}",
            'notifications.emails[0]: "oncall" given',
            id="no address",
        ),
        pytest.param(
            GOOD + "notifications: {emails: a@example.com}",
            "notifications.emails",
            id="an address, no list",
        ),
        pytest.param(
            GOOD + "notifications: {slack: '#ops'}", "notifications.slack", id="another channel"
        ),
    ],
)
def test_a_wrong_configuration_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        _load(tmp_path, text)
    assert message in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path / 'services.yaml'}: ")
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"none\.yaml: No such file or directory; name another"
    ):
        load(tmp_path / "none.yaml", Names())


def test_a_service_overrides_the_defaults_and_off_is_a_mode(tmp_path: Path) -> None:
    text = GOOD.replace("families:", "window_minutes: 30, mode: observe, families:") + (
        "  - {cluster: main, service: 2024-01-01, mode: off, window_minutes: 5}\nnotifications: {emails: [a@example.com]}\n"
    )
    configuration = _load(tmp_path, text)
    assert [(s.key, s.policy.mode, s.policy.window_minutes) for s in configuration.services] == [
        (ServiceKey("main", "auth"), Mode.OBSERVE, 30),
        (ServiceKey("main", "2024-01-01"), Mode.OFF, 5),
    ]


def test_numbers_may_be_written_as_people_write_them(tmp_path: Path) -> None:
    text = _with_entry("error_rate_percent: 1e1, latency_p99_seconds: .5")
    (_, mail) = _load(tmp_path, text).services
    assert (mail.policy.error_rate_percent, mail.policy.latency_p99_seconds) == (10.0, 0.5)


def test_the_person_who_synthesizes_sees_the_line_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "services.yaml"
    path.write_text(_with_entry("window_minutes: soon"))
    ran = subprocess.run(
        [sys.executable, "app.py"],
        cwd=LAMBDA.parent,
        env={
            **os.environ,
            "CDK_CONTEXT_JSON": json.dumps({"services": str(path)}),
            "CDK_OUTDIR": str(tmp_path / "out"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [
        f'{path}: services[1].window_minutes: "soon" given; allowed: a whole number of minutes from 1 to 10080'
    ]
