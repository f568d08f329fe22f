"""Scheduling, with Kubeflow's own client against a stub of its host."""

from __future__ import annotations

from typing import Any

import pytest

from kubeflow.cron import CronError, six_fields
from retrain.__main__ import main
from tests.kubeflow.stub_host import Stub

pytestmark = pytest.mark.usefixtures("compile_once")


def _schedules(stub: Stub) -> list[dict[str, Any]]:
    return [one for one in stub.kept["recurringruns"] if "gone" not in one]


def test_a_schedule_of_the_same_name_replaces(
    stub: Stub, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schedule", "--config", config, "--cron", "0 3 * * *"]) == 0
    assert "CRON_SCHEDULE_TIMEZONE" in capsys.readouterr().out
    (schedule,) = _schedules(stub)
    assert schedule["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    assert (schedule["no_catchup"], schedule["max_concurrency"]) == (True, 1)
    assert schedule["mode"] == "ENABLE"
    assert main(["schedule", "--config", config, "--cron", "30 0 4 * * *"]) == 0
    (schedule,) = _schedules(stub)
    assert schedule["trigger"]["cron_schedule"]["cron"] == "30 0 4 * * *"
    other = ["--cron", "0 5 * * 1", "--name", "weekly", "--max-concurrency", "2"]
    assert main(["schedule", "--config", config, *other]) == 0
    assert len(_schedules(stub)) == 2


def test_a_schedule_that_cannot_be_made_leaves_the_old_one(stub: Stub, config: str) -> None:
    assert main(["schedule", "--config", config, "--cron", "0 3 * * *"]) == 0
    stub.fail = ("POST /recurringruns", 500)
    assert main(["schedule", "--config", config, "--cron", "0 4 * * *"]) == 2
    (schedule,) = _schedules(stub)
    assert schedule["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"


def test_schedules_are_paused_resumed_listed_and_deleted(
    stub: Stub, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["schedule", "--config", config]
    assert main([*command, "--cron", "0 3 * * *"]) == 0
    assert main([*command, "--pause"]) == 0
    assert _schedules(stub)[0]["mode"] == "DISABLE"
    capsys.readouterr()
    assert main([*command, "--list"]) == 0
    assert capsys.readouterr().out == "test-pets  0 0 3 * * *  paused\n"
    assert main([*command, "--resume"]) == 0
    assert _schedules(stub)[0]["mode"] == "ENABLE"
    assert main([*command, "--delete"]) == 0
    assert _schedules(stub) == []
    capsys.readouterr()
    assert main([*command, "--pause"]) == 2
    assert "--name: found test-pets; allowed: there is none" in capsys.readouterr().err


def test_a_schedule_that_is_paused_stays_so_when_it_is_replaced(
    stub: Stub, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["schedule", "--config", config]
    assert main([*command, "--cron", "0 3 * * *"]) == 0
    assert main([*command, "--pause"]) == 0
    capsys.readouterr()
    assert main([*command, "--cron", "0 4 * * *"]) == 0
    assert "test-pets stays paused; after --resume it runs at" in capsys.readouterr().out
    (schedule,) = _schedules(stub)
    assert schedule["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"
    assert schedule["mode"] == "DISABLE"


@pytest.mark.parametrize("cron", ["", "* * * *", "0 0 0 * * * *", "a; b c d e", "@daily"])
def test_what_is_no_cron_expression_is_refused(cron: str) -> None:
    with pytest.raises(CronError):
        six_fields(cron)


def test_five_fields_start_at_second_zero() -> None:
    assert six_fields("0 3 * * MON-FRI") == "0 0 3 * * MON-FRI"
    assert six_fields("15 0 3 ? * 1") == "15 0 3 ? * 1"
