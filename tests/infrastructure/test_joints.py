"""Where the stack and the function meet: each is given what the other made."""

import json

import pytest

from autorollback.naming import Names
from tests.infrastructure.synthesis import Template

pytestmark = pytest.mark.xdist_group("synth")


@pytest.fixture
def environment(template: Template, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    variables = {
        name: value if isinstance(value, str) else next(iter(value.values()))
        for name, value in template.only("AWS::Lambda::Function")["Environment"][
            "Variables"
        ].items()
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def test_the_function_reads_its_settings_from_the_synthesized_environment(
    environment: dict[str, str],
) -> None:
    from autorollback.handler import settings_of

    settings = settings_of(environment)
    assert settings.names == Names()
    assert settings.protected_services == 2


@pytest.mark.parametrize("name", ["Rejected", "Sweep"])
def test_an_alarm_on_the_controller_watches_the_metric_that_the_function_writes(
    template: Template, environment: dict[str, str], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    from autorollback import metrics, results
    from autorollback.requests import BadRequest

    if name == "Sweep":
        metrics.count_sweep(Names().metric_namespace)
    else:
        metrics.count(
            Names().metric_namespace, results.rejected(BadRequest("action", "rolback", "rollback"))
        )
    written = json.loads(capsys.readouterr().out)
    described = written["_aws"]["CloudWatchMetrics"][0]
    (alarm,) = (
        a for a in template.of_type("AWS::CloudWatch::Alarm") if a.get("MetricName") == name
    )
    assert described["Namespace"] == alarm["Namespace"]
    assert [metric["Name"] for metric in described["Metrics"]] == [name]
    assert [{name: written[name] for name in names} for names in described["Dimensions"]] == [
        {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
    ]
