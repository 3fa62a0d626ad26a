import { ClickHouseError } from "@clickhouse/client";
import { textOf } from "../../base/error-text.ts";
import { StatesRefusedError } from "../row-store.ts";

/**
 * Why ClickHouse did not take a batch, decided on its exception code, never on the message.
 *
 * - rejected: the data is at fault; the rows are isolated and dead-lettered.
 * - denied: credentials or grants; nothing is inserted until an operator has acted, and nothing is lost.
 * - unavailable: it will pass; tried again for ever.
 * - unknown: as unavailable, and loud.
 */
export type FailureClass = "rejected" | "denied" | "unavailable" | "unknown";

export interface Failure {
  readonly class: FailureClass;
  /** ClickHouse's exception code; null when there was no answer from ClickHouse. */
  readonly code: number | null;
  readonly message: string;
  /** The tables are not there: the schema has to be applied (again). */
  readonly schemaMissing: boolean;
}

/** Codes as in ClickHouse's src/Common/ErrorCodes.cpp. */
const rejected = new Set([
  6, // CANNOT_PARSE_TEXT
  26, // CANNOT_PARSE_QUOTED_STRING
  27, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
  32, // ATTEMPT_TO_READ_AFTER_EOF
  33, // CANNOT_READ_ALL_DATA
  38, // CANNOT_PARSE_DATE
  41, // CANNOT_PARSE_DATETIME
  69, // ARGUMENT_OUT_OF_BOUND
  70, // CANNOT_CONVERT_TYPE
  72, // CANNOT_PARSE_NUMBER
  117, // INCORRECT_DATA
  128, // TOO_LARGE_ARRAY_SIZE
  131, // TOO_LARGE_STRING_SIZE
  321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
  349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
  395, // FUNCTION_THROW_IF_VALUE_IS_NON_ZERO: a view or a constraint of the operator's own
  407, // DECIMAL_OVERFLOW
  469, // VIOLATED_CONSTRAINT
  691, // UNKNOWN_ELEMENT_OF_ENUM
]);

const denied = new Set([
  164, // READONLY
  192, // UNKNOWN_USER
  193, // WRONG_PASSWORD
  194, // REQUIRED_PASSWORD
  195, // IP_ADDRESS_NOT_ALLOWED
  291, // DATABASE_ACCESS_DENIED
  497, // ACCESS_DENIED
  516, // AUTHENTICATION_FAILED
]);

const unavailable = new Set([
  3, // UNEXPECTED_END_OF_FILE: the body did not arrive whole
  60, // UNKNOWN_TABLE
  81, // UNKNOWN_DATABASE
  159, // TIMEOUT_EXCEEDED
  160, // TOO_SLOW
  198, // DNS_ERROR
  201, // QUOTA_EXCEEDED
  202, // TOO_MANY_SIMULTANEOUS_QUERIES
  203, // NO_FREE_CONNECTION
  209, // SOCKET_TIMEOUT
  210, // NETWORK_ERROR
  218, // TABLE_IS_DROPPED
  225, // NO_ZOOKEEPER
  236, // ABORTED
  241, // MEMORY_LIMIT_EXCEEDED
  242, // TABLE_IS_READ_ONLY
  243, // NOT_ENOUGH_SPACE
  252, // TOO_MANY_PARTS
  279, // ALL_CONNECTION_TRIES_FAILED
  285, // TOO_FEW_LIVE_REPLICAS
  286, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
  289, // REPLICA_IS_NOT_IN_QUORUM
  319, // UNKNOWN_STATUS_OF_INSERT
  369, // ALL_REPLICAS_ARE_STALE
  394, // QUERY_WAS_CANCELLED
  425, // SYSTEM_ERROR
  439, // CANNOT_SCHEDULE_TASK
  499, // S3_ERROR
  574, // DISTRIBUTED_TOO_MANY_PENDING_BYTES
  999, // KEEPER_EXCEPTION
]);

const schemaMissing = new Set([60, 81, 218]);

/** Sorts what an insert or a query failed with. `error` may be anything that was thrown. */
export function classifyFailure(error: unknown): Failure {
  if (error instanceof StatesRefusedError) {
    const failure = classifyFailure(error.cause);
    if (failure.class !== "rejected") return failure;
    return { ...failure, class: "unknown", message: `the rollups of stored rows are refused: ${failure.message}` };
  }
  const message = textOf(error);
  const code = error instanceof ClickHouseError ? Number(error.code) : null;
  if (code === null || !Number.isInteger(code)) {
    // No exception from ClickHouse: the connection, a timeout, a proxy. Whether the batch went in is not known.
    return { class: "unavailable", code: null, message, schemaMissing: false };
  }
  const sorted = classOf(code);
  // The one place where the text counts, and it can only make the writer more careful.
  if (sorted === "rejected" && behindView.test(message)) {
    return {
      class: "unknown",
      code,
      message: `a materialized view refuses the rows: ${message}`,
      schemaMissing: false,
    };
  }
  return { class: sorted, code, message, schemaMissing: schemaMissing.has(code) };
}

/**
 * How ClickHouse ends the message of what failed in a view. The raw rows are then in their table already, under the
 * token of the whole batch: halves of it under tokens of their own would be stored a second time. So the batch is repeated
 * as it is, which completes it once the view takes it. What rows hold is quoted there, so it cannot look like this.
 */
const behindView = /: while pushing to view [^\s']+\s*$/;

function classOf(code: number): FailureClass {
  if (rejected.has(code)) return "rejected";
  if (denied.has(code)) return "denied";
  return unavailable.has(code) ? "unavailable" : "unknown";
}
