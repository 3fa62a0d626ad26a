import { oneOf } from "./kinds.ts";
import { group } from "./setting.ts";

export const logging = group("Logging", {
  level: {
    variable: "LOG_LEVEL",
    fallback: "info",
    kind: oneOf("debug", "info", "warn", "error"),
    help: "least severe level logged",
  },
  format: {
    variable: "LOG_FORMAT",
    fallback: "",
    kind: oneOf("", "pretty", "json"),
    help: "default: pretty on a terminal, else json",
  },
});
