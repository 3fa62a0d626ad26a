import { text } from "./kinds.ts";
import { group } from "./setting.ts";

export const tls = group("TLS", {
  certFile: {
    variable: "TLS_CERT",
    fallback: "",
    kind: text("a PEM file"),
    help: "certificate chain; with TLS_KEY: HTTPS and HTTP/2",
  },
  keyFile: {
    variable: "TLS_KEY",
    fallback: "",
    kind: text("a PEM file"),
    help: "private key of TLS_CERT",
  },
});
