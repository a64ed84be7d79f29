"""What comes in: understood, none of ours, or refused with the field, what was given and what is allowed."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from autorollback import results
from autorollback.free_text import refused_character
from autorollback.naming import Home, Names, ServiceKey
from autorollback.requests import (
    AlarmChanged,
    BadRequest,
    DailyAudit,
    DeploymentBegan,
    DeploymentEnded,
    Manual,
    NotInAlarm,
    NotOurs,
    Sweep,
    TasksCannotStart,
    at_the_latest,
    parse,
)

NAMES = Names()
AUTH = ServiceKey("shop", "auth")
ALARM = "auto-rollback/shop/auth/5xx-rate"
FIRED_AT = datetime(2026, 11, 22, 14, 4, 40, 989000, tzinfo=UTC)
REASON_DATA = {
    "version": "1.0",
    "startDate": "2026-11-22T13:59:00.000+0000",
    "period": 60,
    "threshold": 5.0,
}


def alarm_event(state: dict[str, Any] | None = None, **detail: Any) -> dict[str, Any]:
    """As CloudWatch sends it (CloudWatch User Guide, "Alarm events and EventBridge")."""
    return {
        "version": "0",
        "id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": "111122223333",
        "time": "2026-11-22T14:04:40Z",
        "region": "eu-central-1",
        "resources": [f"arn:aws:cloudwatch:eu-central-1:111122223333:alarm:{ALARM}"],
        "detail": {
            "alarmName": ALARM,
            "configuration": {"metrics": []},
            "previousState": {"value": "OK", "timestamp": "2026-11-22T13:00:00.000+0000"},
            "state": {
                "value": "ALARM",
                "reason": "Threshold Crossed",
                "reasonData": json.dumps(REASON_DATA),
                "timestamp": "2026-11-22T14:04:40.989+0000",
                **(state or {}),
            },
            **detail,
        },
    }


def ecs_event(
    kind: str, name: str, arn: str = "arn:aws:ecs:eu-central-1:111122223333:service/shop/auth"
) -> dict[str, Any]:
    """As ECS sends it (ECS Developer Guide, "Amazon ECS service action events", "... deployment state change events")."""
    return {
        "detail-type": kind,
        "source": "aws.ecs",
        "time": "2026-11-22T14:04:40Z",
        "resources": [arn],
        "detail": {
            "eventType": "ERROR",
            "eventName": name,
            "deploymentId": "ecs-svc/123",
            "updatedAt": "2026-11-22T14:04:39Z",
            "reason": "ECS deployment circuit breaker: task failed to start.",
        },
    }


def scheduled(*rules: str) -> dict[str, Any]:
    arns = [f"arn:aws:events:eu-central-1:111122223333:rule/{rule}" for rule in rules]
    return {
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "time": "2026-11-22T14:05:00Z",
        "resources": arns,
        "detail": {},
    }


class TestAlarms:
    def test_one_of_ours_in_alarm(self) -> None:
        assert parse(alarm_event(), NAMES) == AlarmChanged(
            ALARM, AUTH, "5xx-rate", True, FIRED_AT, REASON_DATA
        )

    def test_back_to_ok(self) -> None:
        request = parse(alarm_event({"value": "OK"}), NAMES)
        assert isinstance(request, AlarmChanged)
        assert not request.in_alarm

    def test_a_users_own_alarm_may_have_slashes(self) -> None:
        request = parse(alarm_event(alarmName="auto-rollback/shop/auth/own-team/checkout"), NAMES)
        assert isinstance(request, AlarmChanged)
        assert (request.service, request.signal) == (AUTH, "own-team/checkout")

    @pytest.mark.parametrize(
        ("event", "why"),
        [
            pytest.param(
                alarm_event(alarmName="ServerCpuTooHigh"), "is not named", id="another alarm"
            ),
            pytest.param(
                alarm_event(alarmName="auto-rollback-blue/shop/auth/latency"),
                "is not named",
                id="another installation",
            ),
            pytest.param(
                alarm_event(alarmName="auto-rollback/shop/auth"), "is not named", id="no signal"
            ),
            pytest.param(
                alarm_event(alarmName="auto-rollback/shop/au th/latency"),
                "is not named",
                id="no name of a service",
            ),
        ],
    )
    def test_none_of_ours(self, event: dict[str, Any], why: str) -> None:
        request = parse(event, NAMES)
        assert isinstance(request, NotOurs)
        assert why in request.detail

    def test_insufficient_data_is_no_alarm(self) -> None:
        request = parse(alarm_event({"value": "INSUFFICIENT_DATA"}), NAMES)
        assert isinstance(request, NotInAlarm)
        assert request.service == AUTH

    @pytest.mark.parametrize(
        ("event", "by"),
        [
            (alarm_event(), None),
            (alarm_event(muteDetail=None), None),
            (alarm_event(muteDetail={"mutedByArn": "arn:mute"}), "by the mute rule arn:mute"),
            (alarm_event(muteDetail={}), "by a mute rule"),
            (
                alarm_event({"actionsSuppressedBy": "WaitPeriod"}),
                "its actions are suppressed by WaitPeriod",
            ),
        ],
        ids=["not", "null", "a mute rule", "a mute rule without a name", "a suppressor"],
    )
    def test_muted(self, event: dict[str, Any], by: str | None) -> None:
        request = parse(event, NAMES)
        assert isinstance(request, AlarmChanged)
        assert request.muted == by

    @pytest.mark.parametrize(
        "data", [None, "no JSON", "[1]", 5], ids=["null", "text", "a list", "a number"]
    )
    def test_reason_data_that_says_nothing_is_empty(self, data: object) -> None:
        request = parse(alarm_event({"reasonData": data}), NAMES)
        assert isinstance(request, AlarmChanged)
        assert request.reason_data == {}

    def test_fields_that_aws_may_add_are_ignored(self) -> None:
        event = alarm_event({"newInState": 1}, alarmTags={"team": "shop"}) | {"newField": 1}
        assert parse(event, NAMES) == parse(alarm_event(), NAMES)


AT = datetime(2026, 11, 22, 14, 4, 40, tzinfo=UTC)
ACTION, DEPLOYMENT = "ECS Service Action", "ECS Deployment State Change"


@pytest.mark.parametrize(
    ("event", "request_"),
    [
        pytest.param(
            ecs_event(ACTION, "SERVICE_TASK_START_IMPAIRED"),
            TasksCannotStart(AUTH, AT),
            id="cannot start",
        ),
        pytest.param(
            ecs_event(DEPLOYMENT, "SERVICE_DEPLOYMENT_FAILED"),
            DeploymentEnded(
                AUTH,
                AT,
                "ecs-svc/123",
                False,
                "ECS deployment circuit breaker: task failed to start.",
            ),
            id="failed",
        ),
        pytest.param(
            ecs_event(DEPLOYMENT, "SERVICE_DEPLOYMENT_COMPLETED"),
            DeploymentEnded(
                AUTH,
                AT,
                "ecs-svc/123",
                True,
                "ECS deployment circuit breaker: task failed to start.",
            ),
            id="completed",
        ),
        pytest.param(
            ecs_event(DEPLOYMENT, "SERVICE_DEPLOYMENT_IN_PROGRESS"),
            DeploymentBegan(AUTH, AT),
            id="began",
        ),
        pytest.param(
            scheduled("auto-rollback-sweep"),
            Sweep(datetime(2026, 11, 22, 14, 5, tzinfo=UTC)),
            id="sweep",
        ),
        pytest.param(
            scheduled("auto-rollback-readiness"),
            DailyAudit(datetime(2026, 11, 22, 14, 5, tzinfo=UTC)),
            id="audit",
        ),
    ],
)
def test_events_of_ecs_and_of_the_clock(event: dict[str, Any], request_: object) -> None:
    assert parse(event, NAMES) == request_


def test_a_service_with_an_arn_of_the_short_format_is_told_by_the_cluster_beside_it() -> None:
    event = ecs_event(
        ACTION, "SERVICE_TASK_START_IMPAIRED", "arn:aws:ecs:eu-central-1:111122223333:service/auth"
    )
    event["detail"]["clusterArn"] = "arn:aws:ecs:eu-central-1:111122223333:cluster/shop"
    assert parse(event, NAMES) == TasksCannotStart(AUTH, AT)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        pytest.param([], "(event)", id="no object"),
        pytest.param(None, "(event)", id="nothing"),
        pytest.param(
            {"source": "aws.s3", "detail-type": "Object Created"},
            "source and detail-type",
            id="another source",
        ),
        pytest.param(
            {"source": ["aws.ecs"], "detail-type": {}},
            "source and detail-type",
            id="a source of no type",
        ),
        pytest.param(alarm_event() | {"detail": "text"}, "detail", id="a detail that is no object"),
        pytest.param(alarm_event(alarmName=None), "detail.alarmName", id="no alarm name"),
        pytest.param(
            alarm_event(state={"value": "RED"}), "detail.state.value", id="a state of another name"
        ),
        pytest.param(
            alarm_event(state={"timestamp": "noon"}),
            "detail.state.timestamp",
            id="a time that is none",
        ),
        pytest.param(
            alarm_event(state={"timestamp": "2026-11-22T14:04:40"}),
            "detail.state.timestamp",
            id="no offset",
        ),
        pytest.param(
            alarm_event(state={"timestamp": "0001-01-01T00:00:00+01:00"}),
            "detail.state.timestamp",
            id="before all time",
        ),
        pytest.param(
            ecs_event(ACTION, "SERVICE_TASK_START_IMPAIRED", "arn:aws:ecs:eu:1:service/auth"),
            "resources",
            id="old ARN and no cluster",
        ),
        pytest.param(
            ecs_event(ACTION, "SERVICE_STEADY_STATE"), "detail.eventName", id="a steady state"
        ),
        pytest.param(
            ecs_event(DEPLOYMENT, "SERVICE_DEPLOYMENT_PAUSED"),
            "detail.eventName",
            id="a change that ECS does not know",
        ),
        pytest.param(
            ecs_event(ACTION, "SERVICE_TASK_START_IMPAIRED") | {"resources": []},
            "resources",
            id="no resource",
        ),
        pytest.param(
            ecs_event(DEPLOYMENT, "SERVICE_DEPLOYMENT_FAILED") | {"time": None},
            "time",
            id="no time",
        ),
        pytest.param(scheduled("somebody-elses"), "resources", id="another rule"),
    ],
)
def test_what_is_not_understood_is_refused_by_its_field(raw: object, field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(raw, NAMES)
    assert refused.value.field == field
    assert refused.value.allowed


class TestManual:
    @pytest.mark.parametrize(
        ("payload", "manual"),
        [
            ({"service": "auth"}, {"action": "rollback", "service": "auth"}),
            (
                {
                    "action": "rollback",
                    "service": "auth",
                    "cluster": "shop",
                    "revision": 18,
                    "reason": "checkout fails",
                },
                {
                    "service": "auth",
                    "cluster": "shop",
                    "revision": "18",
                    "reason": "checkout fails",
                },
            ),
            ({"service": "auth", "revision": "18"}, {"revision": "18"}),
            ({"service": "auth", "revision": "auth:18"}, {"revision": "auth:18"}),
            (
                {
                    "service": "auth",
                    "revision": "arn:aws:ecs:eu-central-1:111122223333:task-definition/auth:18",
                },
                {"revision": "arn:aws:ecs:eu-central-1:111122223333:task-definition/auth:18"},
            ),
            (
                {"service": "auth", "image_tag": "2026.11-3", "container": "app"},
                {"image_tag": "2026.11-3", "container": "app"},
            ),
            ({"service": "auth", "force": True, "dry_run": True}, {"force": True, "dry_run": True}),
            ({"action": "plan", "service": "auth"}, {"action": "plan"}),
            ({"action": "history"}, {"service": None, "limit": 20}),
            (
                {"action": "history", "service": "auth", "limit": 100, "next": "abc"},
                {"limit": 100, "next": "abc"},
            ),
            ({"action": "readiness"}, {"action": "readiness"}),
            ({"action": "status"}, {"action": "status"}),
            (
                {"action": "check", "service": "auth", "task_definition": 18},
                {"action": "check", "service": "auth", "task_definition": "18"},
            ),
            (
                {
                    "action": "check",
                    "service": "auth",
                    "images": {
                        "app": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/auth:v1",
                        "log": f"localhost:5000/log@sha256:{'a' * 64}",
                        "env": f"sha256:{'0' * 64}",
                        "cdn": "nginx:1.27",
                    },
                },
                {
                    "action": "check",
                    "service": "auth",
                    "images": {
                        "app": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/auth:v1",
                        "log": f"localhost:5000/log@sha256:{'a' * 64}",
                        "env": f"sha256:{'0' * 64}",
                        "cdn": "nginx:1.27",
                    },
                },
            ),
            (
                {"action": "release", "service": "auth", "revision": 19},
                {"action": "release", "revision": "19"},
            ),
            ({"action": "pause", "minutes": 10080}, {"action": "pause", "minutes": 10080}),
            ({"action": "resume", "service": "auth"}, {"action": "resume", "service": "auth"}),
        ],
        ids=lambda value: json.dumps(value)[:60],
    )
    def test_what_a_person_may_ask(self, payload: dict[str, Any], manual: dict[str, Any]) -> None:
        request = parse(payload, NAMES)
        assert isinstance(request, Manual)
        assert {name: getattr(request, name) for name in manual} == manual

    @pytest.mark.parametrize(
        ("payload", "field"),
        [
            pytest.param({}, "service", id="no service"),
            pytest.param({"service": ""}, "service", id="an empty name"),
            pytest.param({"service": 5}, "service", id="a number for a name"),
            pytest.param(
                {"action": "undo", "service": "auth"}, "action", id="an action that is none"
            ),
            pytest.param({"action": ["plan"], "service": "auth"}, "action", id="a list of actions"),
            pytest.param({"service": "auth", "revison": 18}, "revison", id="a typo"),
            pytest.param({"service": "auth", "revision": 0}, "revision", id="revision 0"),
            pytest.param({"service": "auth", "revision": True}, "revision", id="revision true"),
            pytest.param({"service": "auth", "revision": 18.0}, "revision", id="a fraction"),
            pytest.param({"service": "auth", "revision": "latest"}, "revision", id="no number"),
            pytest.param(
                {"service": "auth", "revision": "auth:"},
                "revision",
                id="no number after the family",
            ),
            pytest.param(
                {"service": "auth", "revision": "٣"}, "revision", id="digits of another script"
            ),
            pytest.param(
                {"service": "auth", "revision": 18, "image_tag": "a"},
                "image_tag",
                id="revision and tag",
            ),
            pytest.param(
                {"service": "auth", "image_tag": "app:1"},
                "image_tag",
                id="a tag with its repository",
            ),
            pytest.param(
                {"service": "auth", "image_tag": "a" * 129}, "image_tag", id="a tag too long"
            ),
            pytest.param(
                {"service": "auth", "container": "app"}, "container", id="a container alone"
            ),
            pytest.param({"service": "auth", "force": "true"}, "force", id="a text for a flag"),
            pytest.param({"service": "auth", "dry_run": 1}, "dry_run", id="a number for a flag"),
            pytest.param({"service": "auth", "reason": "x" * 1001}, "reason", id="a long story"),
            pytest.param({"service": "service-0:1"}, "service", id="a name with its revision"),
            pytest.param({"service": "shop/auth"}, "service", id="a name with its cluster"),
            pytest.param({"service": "auth\n"}, "service", id="a name with a line break"),
            pytest.param({"service": "a" * 256}, "service", id="a name too long"),
            pytest.param({"service": "auth", "cluster": "Büro"}, "cluster", id="an umlaut"),
            pytest.param({"service": "auth", "cluster": ""}, "cluster", id="an empty cluster"),
            pytest.param(
                {"service": "auth", "revision": "auth\n:18"}, "revision", id="a broken family"
            ),
            pytest.param(
                {"service": "auth", "revision": "arn:aws:s3:::auth:18"}, "revision", id="no ARN"
            ),
            pytest.param(
                {"service": "auth", "revision": 10**5000}, "revision", id="a number without end"
            ),
            pytest.param(
                {"service": "auth", "image_tag": "a", "container": "a b"},
                "container",
                id="a container of two words",
            ),
            pytest.param(
                {"service": "auth", "requested_by": ""}, "requested_by", id="asked by nobody"
            ),
            pytest.param(
                {"service": "auth", "requested_by": "x" * 201},
                "requested_by",
                id="asked by a long name",
            ),
            pytest.param(
                {"service": "auth", "requested_by": 5}, "requested_by", id="asked by a number"
            ),
            pytest.param({"service": "auth", "minutes": 5}, "minutes", id="minutes of a rollback"),
            pytest.param({"action": "pause"}, "minutes", id="a pause without end"),
            pytest.param({"action": "pause", "minutes": 0}, "minutes", id="a pause of nothing"),
            pytest.param(
                {"action": "pause", "minutes": 10081}, "minutes", id="a pause of more than 7 days"
            ),
            pytest.param({"action": "resume", "cluster": "shop"}, "cluster", id="a cluster alone"),
            pytest.param(
                {"action": "release", "service": "auth"}, "revision", id="release of what"
            ),
            pytest.param({"action": "release", "revision": 18}, "service", id="release where"),
            pytest.param({"action": "history", "limit": 101}, "limit", id="too many"),
            pytest.param(
                {"action": "readiness", "force": True}, "force", id="a field of another action"
            ),
            pytest.param({"action": "status", "limit": 5}, "limit", id="a page of a status"),
            pytest.param({"action": "status", "cluster": "shop"}, "cluster", id="its cluster"),
            pytest.param(
                {"action": "check", "service": "auth"}, "task_definition", id="a check of what"
            ),
            pytest.param({"action": "check", "task_definition": 18}, "service", id="a check where"),
            pytest.param(
                {"action": "check", "service": "auth", "task_definition": "auth"},
                "task_definition",
                id="a family alone",
            ),
            pytest.param(
                {"action": "check", "service": "auth", "revision": 18},
                "revision",
                id="a check of a rollback's field",
            ),
            pytest.param(
                {"action": "check", "service": "auth", "images": {}}, "images", id="no image"
            ),
            pytest.param(
                {"action": "check", "service": "auth", "images": ["auth:v1"]},
                "images",
                id="images of no container",
            ),
            pytest.param(
                {"action": "check", "service": "auth", "images": {"app": "v1"}},
                "images",
                id="a tag or a repository, who knows",
            ),
            pytest.param(
                {"action": "check", "service": "auth", "images": {"app": "sha256:abc"}},
                "images",
                id="half a digest",
            ),
            pytest.param(
                {"action": "check", "service": "auth", "images": {"a b": "auth:v1"}},
                "images",
                id="no name of a container",
            ),
            pytest.param(
                {"action": "check", "service": "auth", "images": {"app": "auth:v1\n"}},
                "images",
                id="an image with a line break",
            ),
            pytest.param(
                {
                    "action": "check",
                    "service": "auth",
                    "images": {f"c{n}": "auth:v1" for n in range(11)},
                },
                "images",
                id="more containers than a task has",
            ),
        ],
    )
    def test_what_is_refused(self, payload: dict[str, Any], field: str) -> None:
        with pytest.raises(BadRequest) as refused:
            parse(payload, NAMES)
        assert refused.value.field == field
        assert refused.value.allowed
        assert field in str(refused.value)

    @pytest.mark.parametrize("field", ["reason", "requested_by"])
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("bad\nUndo: rm -rf", "character 4 is U+000A LINE FEED"),
            ("bad\rUndo", "character 4 is U+000D CARRIAGE RETURN"),
            ("bad\u2028Undo", "character 4 is U+2028 LINE SEPARATOR"),
            ("bad\u2029Undo", "character 4 is U+2029 PARAGRAPH SEPARATOR"),
            ("bad\u0085Undo", "character 4 is U+0085 NEXT LINE"),
            ("\tbad", "character 1 is U+0009 TABULATION"),
            ("\x1b[31mred", "character 1 is U+001B ESCAPE"),
            ("\x9b31mred", "character 1 is U+009B CONTROL SEQUENCE INTRODUCER"),
            ("nothing\x00", "character 8 is U+0000 NULL"),
            ("\x01", "character 1 is U+0001 CONTROL CHARACTER"),
            ("\u202etxt.exe", "character 1 is U+202E RIGHT-TO-LEFT OVERRIDE"),
            ("a\u2066b", "character 2 is U+2066 LEFT-TO-RIGHT ISOLATE"),
            ("\ufeffbad", "character 1 is U+FEFF ZERO WIDTH NO-BREAK SPACE"),
            ("pay\u200bload", "character 4 is U+200B ZERO WIDTH SPACE"),
            ("a\u200db", "character 2 is U+200D ZERO WIDTH JOINER"),
            ("\u200d\N{WOMAN}", "character 1 is U+200D ZERO WIDTH JOINER"),
            ("\N{WOMAN}\u200d", "character 2 is U+200D ZERO WIDTH JOINER"),
            ("\U000e0041", "character 1 is U+E0041 TAG LATIN CAPITAL LETTER A"),
            ("\ud83d alone", "character 1 is U+D83D HALF OF A SURROGATE PAIR"),
        ],
    )
    def test_what_could_make_a_message_say_something_else_is_refused_by_name(
        self, field: str, text: str, name: str
    ) -> None:
        with pytest.raises(BadRequest) as refused:
            parse({"service": "auth", field: text}, NAMES)
        assert refused.value.field == field
        assert refused.value.allowed.endswith(f"line-break characters; {name}")
        told = json.dumps(results.to_json(results.rejected(refused.value)), ensure_ascii=False)
        assert refused_character(told) is None, "nor does the refusal say it on"

    @pytest.mark.parametrize(
        "text",
        [
            "checkout fails for 4 % of users, see INC-17",
            "Größe ist falsch: „zu groß“ — naïve",
            "結帳失敗",
            "الدفع لا يعمل",
            "rollback 👩‍🚒 👩🏽‍🚒 🏳️‍🌈 ❤️‍🔥 🙂‍↔️",
            "x" * 1000,
        ],
    )
    def test_what_people_write_is_taken_as_it_is(self, text: str) -> None:
        request = parse({"service": "auth", "reason": text, "requested_by": text[:200]}, NAMES)
        assert isinstance(request, Manual)
        assert (request.reason, request.requested_by) == (text, text[:200])

    @pytest.mark.parametrize("given", [{"a": "x" * 10_000}, ["\u202e"], float("nan"), "\ud800"])
    def test_a_refusal_shows_no_more_than_is_good(self, given: object) -> None:
        with pytest.raises(BadRequest) as refused:
            parse({"service": given}, NAMES)
        answer = json.dumps(results.to_json(results.rejected(refused.value)), ensure_ascii=False)
        assert len(answer.encode()) < 2000
        assert refused_character(answer) is None

    @pytest.mark.parametrize(
        "field",
        [
            "action",
            "service",
            "cluster",
            "revision",
            "image_tag",
            "container",
            "force",
            "dry_run",
            "reason",
        ],
    )
    def test_null_is_no_value(self, field: str) -> None:
        with pytest.raises(BadRequest) as refused:
            parse({"service": "auth", field: None}, NAMES)
        assert (refused.value.field, refused.value.given) == (field, None)


def test_another_installation_has_its_own_names() -> None:
    blue = Names("blue")
    assert isinstance(parse(alarm_event(), blue), NotOurs)
    assert isinstance(
        parse(alarm_event(alarmName="auto-rollback-blue/shop/auth/latency"), blue), AlarmChanged
    )
    assert isinstance(parse(scheduled("auto-rollback-blue-sweep"), blue), Sweep)


HOME = Home("111122223333", "eu-central-1")
SERVICE_ELSEWHERE = "arn:aws:ecs:us-east-1:111122223333:service/shop/auth"
SERVICE_OF_OTHERS = "arn:aws:ecs:eu-central-1:999999999999:service/shop/auth"
SERVICE_IN_CHINA = "arn:aws-cn:ecs:eu-central-1:111122223333:service/shop/auth"
HERE = Home("111122223333", "eu-central-1", "aws")


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(
            alarm_event() | {"account": "999999999999"}, id="the envelope is of another account"
        ),
        pytest.param(
            alarm_event() | {"region": "us-east-1"}, id="the envelope is of another Region"
        ),
        pytest.param(
            ecs_event(DEPLOYMENT, "SERVICE_DEPLOYMENT_FAILED", SERVICE_OF_OTHERS),
            id="another account's service",
        ),
        pytest.param(
            ecs_event(ACTION, "SERVICE_TASK_START_IMPAIRED", SERVICE_ELSEWHERE),
            id="a service of another Region",
        ),
    ],
)
def test_an_event_of_elsewhere_is_none_of_ours(event: dict[str, Any]) -> None:
    request = parse(event, NAMES, HOME)
    assert isinstance(request, NotOurs)
    assert "this controller works in 111122223333 in eu-central-1" in request.detail


@pytest.mark.parametrize(
    "event",
    [
        alarm_event(),
        {
            key: value
            for key, value in alarm_event().items()
            if key not in ("account", "region", "resources")
        },
        ecs_event(DEPLOYMENT, "SERVICE_DEPLOYMENT_FAILED"),
        scheduled("auto-rollback-sweep"),
    ],
    ids=["an alarm", "without an envelope", "a deployment", "the sweep"],
)
def test_an_event_of_here_is_read_as_ever(event: dict[str, Any]) -> None:
    assert parse(event, NAMES, HOME) == parse(event, NAMES)


def test_an_event_of_another_partition_is_none_of_ours() -> None:
    event = ecs_event(DEPLOYMENT, "SERVICE_DEPLOYMENT_FAILED", SERVICE_IN_CHINA)
    assert isinstance(parse(event, NAMES, HERE), NotOurs)
    event = ecs_event(DEPLOYMENT, "SERVICE_DEPLOYMENT_FAILED")
    assert isinstance(parse(event, NAMES, HERE), DeploymentEnded)


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:ecs:::service/shop/auth",
        "arn:aws:ecs:eu-central-1::service/shop/auth",
        "arn:aws:elasticache:eu-central-1:111122223333:service/shop/auth",
        "see arn:aws:ecs:eu-central-1:111122223333:service/shop/auth",
        ":service/shop/auth",
        "arn:aws:ecs:eu-central-1:111122223333:service/shop/au th",
    ],
)
def test_an_event_is_of_a_service_that_its_arn_names_in_full(arn: str) -> None:
    event = ecs_event(DEPLOYMENT, "SERVICE_DEPLOYMENT_FAILED", arn)
    with pytest.raises(BadRequest) as refused:
        parse(event, NAMES, HOME)
    assert refused.value.field == "resources"


@pytest.mark.parametrize(
    "event",
    [
        alarm_event(),
        alarm_event({"value": "OK"}),
        ecs_event(DEPLOYMENT, "SERVICE_DEPLOYMENT_COMPLETED"),
        ecs_event(ACTION, "SERVICE_TASK_START_IMPAIRED"),
        scheduled("auto-rollback-sweep"),
    ],
)
def test_nothing_has_happened_at_a_time_that_is_yet_to_come(event: dict[str, Any]) -> None:
    request = parse(event, NAMES)
    before, after = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2036))
    assert not isinstance(request, Manual | NotOurs | NotInAlarm)
    assert at_the_latest(request, before) == replace(request, at=before)
    assert at_the_latest(request, after) == request


def test_a_home_is_told_by_an_arn_that_has_one() -> None:
    assert Home.of_arn("arn:aws:sns:eu-central-1:111122223333:auto-rollback") == HOME
    assert Home.of_arn("arn:aws:s3:::bucket") is None
    assert Home.of_arn("topic") is None
