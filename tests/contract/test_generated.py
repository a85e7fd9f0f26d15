"""The generated code is that of the protos, the protos pass buf's lint, and the routes are those of the contract."""

import filecmp
import subprocess
import sys
from pathlib import Path

from services.gateway import contract
from services.gateway.contract import Rule

ROOT = Path(__file__).parents[2]
GENERATE = ROOT / "protos" / "generate.py"
BASE = "/api/alert"
ROUTES = """
POST   /oncall/responders                                  roster      CreateResponder
GET    /oncall/responders                                  roster      ListResponders
GET    /oncall/responders/{responder_id}                   roster      GetResponder
PATCH  /oncall/responders/{responder_id}                   roster      UpdateResponder
DELETE /oncall/responders/{responder_id}                   roster      DeleteResponder
POST   /oncall/teams                                       roster      CreateTeam
GET    /oncall/teams                                       roster      ListTeams
GET    /oncall/teams/{team_id}                             roster      GetTeam
PATCH  /oncall/teams/{team_id}                             roster      UpdateTeam
DELETE /oncall/teams/{team_id}                             roster      DeleteTeam
POST   /oncall/schedules                                   roster      CreateSchedule
GET    /oncall/schedules                                   roster      ListSchedules
GET    /oncall/schedules/{schedule_id}                     roster      GetSchedule
PATCH  /oncall/schedules/{schedule_id}                     roster      UpdateSchedule
DELETE /oncall/schedules/{schedule_id}                     roster      DeleteSchedule
GET    /oncall/schedules/{schedule_id}:preview             roster      PreviewSchedule
POST   /oncall/schedules/{schedule_id}:preview-change      roster      PreviewScheduleChange
POST   /oncall/schedules/{schedule_id}:import-calendar     roster      ImportCalendar
POST   /oncall/shifts                                      roster      CreateShift
GET    /oncall/shifts                                      roster      ListShifts
GET    /oncall/shifts/{shift_id}                           roster      GetShift
DELETE /oncall/shifts/{shift_id}                           roster      DeleteShift
POST   /oncall/overrides                                   roster      CreateOverride
GET    /oncall/overrides                                   roster      ListOverrides
DELETE /oncall/overrides/{override_id}                     roster      DeleteOverride
POST   /oncall/time-off                                    roster      CreateTimeOff
GET    /oncall/time-off                                    roster      ListTimeOff
GET    /oncall/time-off/{time_off_id}                      roster      GetTimeOff
DELETE /oncall/time-off/{time_off_id}                      roster      DeleteTimeOff
POST   /oncall/swaps                                       roster      CreateSwap
GET    /oncall/swaps                                       roster      ListSwaps
GET    /oncall/swaps/{swap_id}                             roster      GetSwap
POST   /oncall/swaps/{swap_id}:offer                       roster      OfferSwap
POST   /oncall/swaps/{swap_id}:accept                      roster      AcceptSwap
POST   /oncall/swaps/{swap_id}:decline                     roster      DeclineSwap
POST   /oncall/swaps/{swap_id}:cancel                      roster      CancelSwap
POST   /oncall/swaps/{swap_id}:undo                        roster      UndoSwap
GET    /oncall:resolve                                     roster      ResolveTarget
GET    /audit/roster                                       roster      ListRosterAuditEntries
GET    /audit/escalation                                   escalation  ListEscalationAuditEntries
GET    /audit/notify                                       notify      ListNotifyAuditEntries
GET    /audit/sla                                          sla         ListSlaAuditEntries
POST   /api-keys                                           roster      CreateApiKey
GET    /api-keys                                           roster      ListApiKeys
GET    /api-keys/{api_key_id}                              roster      GetApiKey
DELETE /api-keys/{api_key_id}                              roster      DeleteApiKey
POST   /alerts                                             escalation  TriggerAlert
GET    /alerts                                             escalation  ListAlerts
POST   /alerts:batch                                       escalation  BatchTriggerAlerts
GET    /alerts/{alert_id}                                  escalation  GetAlert
POST   /alerts/{alert_id}:acknowledge                      escalation  AcknowledgeAlert
POST   /alerts/{alert_id}:close                            escalation  CloseAlert
POST   /alerts/{alert_id}:escalate                         escalation  EscalateAlert
POST   /alerts/{alert_id}:snooze                           escalation  SnoozeAlert
POST   /alerts/{alert_id}:reassign                         escalation  ReassignAlert
GET    /alerts:watch                                        escalation  WatchAlerts
POST   /alerts/{alert_id}:reopen                           escalation  ReopenAlert
POST   /alerts/{alert_id}:comment                          escalation  CommentAlert
GET    /alerts/{alert_id}/actions                          escalation  ListAlertActions
GET    /alerts/{alert_id}/escalations                      escalation  ListEscalations
POST   /alerts:escalation-run                              escalation  RunEscalations
POST   /escalation-policies                                escalation  CreateEscalationPolicy
GET    /escalation-policies                                escalation  ListEscalationPolicies
GET    /escalation-policies/{policy_id}                    escalation  GetEscalationPolicy
PATCH  /escalation-policies/{policy_id}                    escalation  UpdateEscalationPolicy
DELETE /escalation-policies/{policy_id}                    escalation  DeleteEscalationPolicy
POST   /escalation-policies:preview                        escalation  PreviewEscalationPolicy
POST   /silence-rules                                      escalation  CreateSilenceRule
GET    /silence-rules                                      escalation  ListSilenceRules
GET    /silence-rules/{silence_rule_id}                    escalation  GetSilenceRule
DELETE /silence-rules/{silence_rule_id}                    escalation  DeleteSilenceRule
POST   /silence-rules/{silence_rule_id}:expire             escalation  ExpireSilenceRule
POST   /aggregation-rules                                  escalation  CreateAggregationRule
GET    /aggregation-rules                                  escalation  ListAggregationRules
GET    /aggregation-rules/{aggregation_rule_id}            escalation  GetAggregationRule
PATCH  /aggregation-rules/{aggregation_rule_id}            escalation  UpdateAggregationRule
DELETE /aggregation-rules/{aggregation_rule_id}            escalation  DeleteAggregationRule
POST   /integrations                                       escalation  CreateIntegration
GET    /integrations                                       escalation  ListIntegrations
GET    /integrations/{integration_id}                      escalation  GetIntegration
DELETE /integrations/{integration_id}                      escalation  DeleteIntegration
POST   /inhibition-rules                                   escalation  CreateInhibitionRule
GET    /inhibition-rules                                   escalation  ListInhibitionRules
GET    /inhibition-rules/{inhibition_rule_id}              escalation  GetInhibitionRule
PATCH  /inhibition-rules/{inhibition_rule_id}              escalation  UpdateInhibitionRule
DELETE /inhibition-rules/{inhibition_rule_id}              escalation  DeleteInhibitionRule
PATCH  /integrations/{integration_id}                      escalation  UpdateIntegration
POST   /integrations/{integration_id}:rotate               escalation  RotateIntegrationKey
POST   /integrations/{integration_id}:revoke-previous-key  escalation  RevokePreviousKey
POST   /contact-methods                                    notify      CreateContactMethod
GET    /contact-methods                                    notify      ListContactMethods
GET    /contact-methods/{contact_method_id}                notify      GetContactMethod
PATCH  /contact-methods/{contact_method_id}                notify      UpdateContactMethod
DELETE /contact-methods/{contact_method_id}                notify      DeleteContactMethod
POST /contact-methods/{contact_method_id}:send-code notify SendContactMethodCode
POST /contact-methods/{contact_method_id}:verify notify VerifyContactMethod
POST /contact-methods/{contact_method_id}:test notify TestContactMethod
POST /contact-methods/{contact_method_id}:rotate-secret notify RotateContactMethodSecret
GET    /contact-methods:unreachable                        notify      ListUnreachable
GET    /message-templates                                  notify      ListMessageTemplates
GET    /message-templates/{channel}                        notify      GetMessageTemplate
PATCH  /message-templates/{channel}                        notify      UpdateMessageTemplate
DELETE /message-templates/{channel}                        notify      DeleteMessageTemplate
POST   /message-templates:preview                          notify      PreviewMessageTemplate
GET    /routes                                             notify      ListRoutes
GET    /routes/{route_log_id}                              notify      GetRoute
GET    /routes:export                                      notify      ExportRoutes
POST   /routes/{route_log_id}:receipt                      notify      RecordReceipt
GET    /inbox                                              notify      ListInbox
POST   /inbox/{route_log_id}:read                          notify      ReadInboxItem
GET    /inbox:watch                                        notify      WatchInbox
GET    /sla/overview                                       sla         GetOverview
POST /events/roster:replay roster ReplayRosterEvents
GET /dead-letters/roster roster ListRosterDeadLetters
POST /dead-letters/roster:replay roster ReplayRosterDeadLetters
POST /events/escalation:replay escalation ReplayEscalationEvents
GET /dead-letters/escalation escalation ListEscalationDeadLetters
POST /dead-letters/escalation:replay escalation ReplayEscalationDeadLetters
POST /events/notify:replay notify ReplayNotifyEvents
GET /dead-letters/notify notify ListNotifyDeadLetters
POST /dead-letters/notify:replay notify ReplayNotifyDeadLetters
POST /events/sla:replay sla ReplaySlaEvents
GET /dead-letters/sla sla ListSlaDeadLetters
POST /dead-letters/sla:replay sla ReplaySlaDeadLetters
GET /sla/noisy sla ListNoisySources
GET /sla/load sla ListResponderLoads
GET /sla/compare sla ComparePeriods
GET /sla/facts:export sla ExportAlertFacts
GET /sla/timeseries:export sla ExportTimeSeries
POST /sla/runs sla CreateSlaRun
GET /sla/runs/{run_id} sla GetSlaRun
GET    /sla/facts                                          sla         ListAlertFacts
GET    /sla/targets/{target_id}/budget                     sla         GetSlaBudget
GET    /sla/timeseries                                     sla         GetTimeSeries
POST   /sla/targets                                        sla         CreateSlaTarget
GET    /sla/targets                                        sla         ListSlaTargets
DELETE /sla/targets/{target_id}                            sla         DeleteSlaTarget
GET    /sla/breaches                                       sla         ListSlaBreaches
"""
"""CONTRACT §2, one route a line."""


def public_path(rule: Rule) -> str:
    """The path as CONTRACT writes it: variables by the last part of their name."""
    path = rule.template.text.removeprefix(BASE)
    for name in rule.template.variables:
        path = path.replace(f"{{{name}}}", f"{{{name.rpartition('.')[2]}}}")
    return path


def test_the_routes_are_those_of_the_contract() -> None:
    wanted = {tuple(line.split()) for line in ROUTES.strip().splitlines()}
    rules = contract.load().rules
    assert all(rule.template.text.startswith(f"{BASE}/") for rule in rules)
    assert {(rule.verb, public_path(rule), rule.context, rule.method.name) for rule in rules} == wanted
    assert len(rules) == len(wanted)


def test_what_creates_takes_the_resource_and_what_does_takes_all() -> None:
    """AIP-133, 134, 136: a create and an update name the resource's field, verbs take the whole request."""
    for rule in contract.load().rules:
        created = rule.method.name.startswith(("Create", "Update"))
        assert (rule.body not in ("", "*")) == created, rule.call
        assert bool(rule.body) == (rule.verb in ("POST", "PATCH")), rule.call


def test_every_method_over_http_but_receipts_asks_for_a_scope() -> None:
    open_calls = [rule.call for rule in contract.load().rules if not rule.scope]
    assert open_calls == ["/tocsin.notify.v1.RouteService/RecordReceipt"]


def test_what_is_generated_is_committed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, GENERATE, "--out", tmp_path], check=True, capture_output=True)
    made = files_below(tmp_path)
    kept = files_below(ROOT / "gen")
    assert kept == made, "run make gen"
    differing = [
        name for name in sorted(made) if not filecmp.cmp(tmp_path / name, ROOT / "gen" / name, shallow=False)
    ]
    assert differing == [], "run make gen"


def files_below(directory: Path) -> set[str]:
    """Every generated file, relative to the directory."""
    return {
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_protos_pass_lint() -> None:
    result = subprocess.run([sys.executable, GENERATE, "--lint"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
