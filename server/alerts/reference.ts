import type { TSchema } from "typebox";
import {
  Acknowledgement,
  AlertAudit,
  AlertHistory,
  Alerts,
  Channel,
  Channels,
  ChannelTest,
  CreatedChannel,
  PushEnd,
  PushInfo,
  PushSubscription,
  Rule,
  Rules,
  RuleTest,
  RuleTestResult,
  Silence,
  Silences,
  StoredChannel,
  StoredRule,
  StoredSilence,
} from "../../contract/alerts.ts";
import type { ErrorCode } from "../../contract/error.ts";
import { describeParameters } from "../query/parameters.ts";
import type { ApiDocument, Content, Operation, Parameter } from "../reference/document.ts";
import { errorAnswers } from "../reference/error-answers.ts";
import { alertsParameters, auditParameters, historyParameters } from "./reading-routes.ts";

/** OpenAPI of the alerts. */

const json = (schema: TSchema): Content => ({ "application/json": { schema } });
const reading: readonly ErrorCode[] = ["unauthenticated", "forbidden", "alerts_unavailable"];
const bodies: readonly ErrorCode[] = [
  ...reading,
  "malformed_json",
  "unsupported_media_type",
  "body_too_large",
  "invalid_body",
];
const editing = "Needs an editor key (EDITOR_KEYS).";

interface Sketch {
  readonly summary: string;
  readonly edits?: boolean;
  readonly parameters?: readonly Parameter[];
  readonly body?: TSchema;
  readonly status?: number;
  readonly answer?: TSchema;
  readonly codes: readonly ErrorCode[];
}

function operation({ summary, edits = false, parameters, body, status = 200, answer, codes }: Sketch): Operation {
  return {
    summary,
    ...(edits ? { description: editing } : {}),
    tags: ["Alerts"],
    ...(parameters === undefined ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: json(body) } }),
    responses: {
      [String(status)]: { description: summary, ...(answer === undefined ? {} : { content: json(answer) }) },
      ...errorAnswers(...codes),
    },
  };
}

const change = { edits: true, codes: [...bodies, "conflict"] } as const;
const changeOne = { edits: true, codes: [...bodies, "conflict", "not_found"] } as const;
const removal = { edits: true, status: 204, codes: [...reading, "conflict", "not_found"] } as const;
const id = (what: string): Parameter => ({
  name: "id",
  in: "path",
  required: true,
  description: `of the ${what}`,
  schema: { type: "string" },
});

export const alertPaths: ApiDocument["paths"] = {
  "/api/alerts": {
    get: operation({
      summary: "What fires, waits, recovers or is stale now, worst first",
      parameters: describeParameters(alertsParameters),
      answer: Alerts,
      codes: [...reading, "invalid_parameter"],
    }),
  },
  "/api/alerts/history": {
    get: operation({
      summary: "Changes of alarms, newest first",
      parameters: describeParameters(historyParameters),
      answer: AlertHistory,
      codes: [...reading, "invalid_parameter"],
    }),
  },
  "/api/alerts/audit": {
    get: operation({
      summary: "Who changed what, newest first",
      parameters: describeParameters(auditParameters),
      answer: AlertAudit,
      codes: [...reading, "invalid_parameter"],
    }),
  },
  "/api/alerts/{id}/acknowledge": {
    post: operation({
      summary: "Somebody is on it: no reminders of this alarm",
      parameters: [id("alert")],
      body: Acknowledgement,
      status: 204,
      edits: true,
      codes: [...bodies, "not_found"],
    }),
    delete: operation({ summary: "Takes it back", parameters: [id("alert")], ...removal }),
  },
  "/api/alerts/rules": {
    get: operation({ summary: "Rules", answer: Rules, codes: reading }),
    post: operation({ summary: "Make a rule", body: Rule, status: 201, answer: StoredRule, ...change }),
  },
  "/api/alerts/rules/{id}": {
    get: operation({
      summary: "A rule",
      parameters: [id("rule")],
      answer: StoredRule,
      codes: [...reading, "not_found"],
    }),
    put: operation({
      summary: "Change a rule",
      parameters: [id("rule")],
      body: Rule,
      answer: StoredRule,
      ...changeOne,
    }),
    delete: operation({ summary: "Remove a rule; its alarms end", parameters: [id("rule")], ...removal }),
  },
  "/api/alerts/rules/test": {
    post: operation({
      summary: "When a rule would have fired; nothing is changed",
      body: RuleTest,
      answer: RuleTestResult,
      codes: [...bodies, "query_failed"],
    }),
  },
  "/api/alerts/channels": {
    get: operation({ summary: "Where messages go", answer: Channels, codes: reading }),
    post: operation({ summary: "Make a channel", body: Channel, status: 201, answer: CreatedChannel, ...change }),
  },
  "/api/alerts/channels/{id}": {
    put: operation({
      summary: "Change a channel; a secret that is left out stays",
      parameters: [id("channel")],
      body: Channel,
      answer: StoredChannel,
      ...changeOne,
    }),
    delete: operation({ summary: "Remove a channel and what waits for it", parameters: [id("channel")], ...removal }),
  },
  "/api/alerts/channels/{id}/test": {
    post: operation({
      summary: "Send a test",
      parameters: [id("channel")],
      answer: ChannelTest,
      edits: true,
      codes: [...reading, "not_found"],
    }),
  },
  "/api/alerts/silences": {
    get: operation({ summary: "Silences that have not ended", answer: Silences, codes: reading }),
    post: operation({ summary: "Silence what matches", body: Silence, status: 201, answer: StoredSilence, ...change }),
  },
  "/api/alerts/silences/{id}": {
    delete: operation({ summary: "End a silence", parameters: [id("silence")], ...removal }),
  },
  "/api/alerts/push": {
    get: operation({ summary: "What a browser needs to subscribe", answer: PushInfo, codes: reading }),
    post: operation({
      summary: "Subscribe this browser",
      body: PushSubscription,
      status: 201,
      answer: PushInfo,
      codes: [...bodies, "conflict"],
    }),
    delete: operation({ summary: "End a subscription", body: PushEnd, status: 204, codes: bodies }),
  },
};
