import { createHash } from "node:crypto";
import type { Answer, ApiDocument, Operation, Parameter } from "./document.ts";

const style = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #8886; }
h3 { margin: 1.5rem 0 0.25rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: 0.75rem; background: #8881; border-radius: 4px; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.75rem 0.25rem 0; border-bottom: 1px solid #8883; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; text-transform: uppercase; }
`;

/** The reference as one HTML page that loads nothing, and the policy that lets it have its own style and nothing else. */
export function renderReference(document: ApiDocument): { html: string; contentSecurityPolicy: string } {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const tags = [...new Set(operations.flatMap(({ operation }) => operation.tags))];
  const sections = tags.map((tag) => {
    const inside = operations.filter(({ operation }) => operation.tags.includes(tag));
    return `<h2>${escapeHtml(tag)}</h2>${inside.map(renderOperation).join("")}`;
  });
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) =>
      `<h3 id="${escapeHtml(name)}">${escapeHtml(name)}</h3><pre>${escapeHtml(JSON.stringify(schema, null, 2))}</pre>`,
  );
  const { title, version, description } = document.info;
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} API</title><style>${style}</style></head>
<body><h1>${escapeHtml(title)} API <small>${escapeHtml(version)}</small></h1>
<p>${escapeHtml(description)} As <a href="/openapi/json">OpenAPI</a>.</p>
${sections.join("")}<h2>Schemas</h2>${schemas.join("")}</body></html>
`;
  const styleHash = createHash("sha256").update(style).digest("base64");
  const contentSecurityPolicy = `default-src 'none'; style-src 'sha256-${styleHash}'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  return { html, contentSecurityPolicy };
}

function renderOperation(each: { path: string; method: string; operation: Operation }): string {
  const { path, method, operation } = each;
  const open = operation.security?.length === 0 ? " <small>no key needed</small>" : "";
  const body = operation.requestBody ? `<p>Body: ${renderContent(operation.requestBody.content)}</p>` : "";
  return `<h3><span class="method">${escapeHtml(method)}</span> <code>${escapeHtml(path)}</code></h3>
<p>${escapeHtml(operation.summary)}.${open} ${escapeHtml(operation.description ?? "")}</p>
${renderParameters(operation.parameters ?? [])}${body}
<table><tr><th>status</th><th>when</th><th>body</th></tr>${Object.entries(operation.responses).map(renderAnswer).join("")}</table>`;
}

function renderParameters(parameters: readonly Parameter[]): string {
  if (parameters.length === 0) return "";
  const rows = parameters.map(
    (parameter) =>
      `<tr><td><code>${escapeHtml(parameter.name)}</code></td><td>${parameter.in}</td><td>${escapeHtml(parameter.description)}</td>` +
      `<td><code>${escapeHtml(JSON.stringify(parameter.schema))}</code></td></tr>`,
  );
  return `<table><tr><th>parameter</th><th>in</th><th></th><th>schema</th></tr>${rows.join("")}</table>`;
}

function renderAnswer([status, answer]: [string, Answer]): string {
  const content = answer.content ? renderContent(answer.content) : "";
  return `<tr><td>${escapeHtml(status)}</td><td>${escapeHtml(answer.description)}</td><td>${content}</td></tr>`;
}

function renderContent(content: NonNullable<Answer["content"]>): string {
  return Object.entries(content)
    .map(([type, { schema }]) => `${escapeHtml(type)} ${renderNames(schema)}`)
    .join(", ");
}

/** Links to the schemas that a schema refers to. */
function renderNames(schema: object): string {
  const names = [...JSON.stringify(schema).matchAll(/#\/components\/schemas\/(\w+)/g)].map(
    (match) => match[1] as string,
  );
  return [...new Set(names)].map((name) => `<a href="#${escapeHtml(name)}">${escapeHtml(name)}</a>`).join(" or ");
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
