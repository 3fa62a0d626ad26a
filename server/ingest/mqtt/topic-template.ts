/** What a topic says of the events that come by it. */
export interface TopicMatch {
  readonly deviceId?: string;
  readonly eventType?: string;
  /** Further names of the template. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** `devices/{device_id}/{event_type}`: a topic filter whose wildcards have names. */
export interface TopicTemplate {
  readonly text: string;
  /** What is subscribed to. */
  readonly filter: string;
  match(topic: string): TopicMatch | undefined;
}

const namePattern = /^\{([A-Za-z_][A-Za-z0-9_.-]*)\}$/;
const rest = "rest";

/**
 * Undefined when the text is no template: a level is a word, `+` or a name in braces; `{rest}`, or `#`, may be the last one. Where no
 * level is the event type, `{rest}` is.
 */
export function parseTopicTemplate(text: string): TopicTemplate | undefined {
  const levels = text.split("/").map(parseLevel);
  if (text === "" || levels.includes(undefined)) return undefined;
  const parsed = levels.filter((level) => level !== undefined);
  const names = parsed.flatMap(({ name }) => name ?? []);
  if (new Set(names).size < names.length) return undefined;
  if (parsed.slice(0, -1).some(({ filter }) => filter === "#")) return undefined;
  const hasType = names.includes("event_type");
  return {
    text,
    filter: parsed.map(({ filter }) => filter).join("/"),
    match(topic) {
      const values = valuesOf(parsed, topic.split("/"));
      if (values === undefined) return undefined;
      if (!hasType && values.has(rest)) {
        values.set("event_type", values.get(rest) ?? "");
        values.delete(rest);
      }
      const deviceId = values.get("device_id");
      const eventType = values.get("event_type");
      values.delete("device_id");
      values.delete("event_type");
      return {
        ...(deviceId === undefined ? {} : { deviceId }),
        ...(eventType === undefined ? {} : { eventType }),
        metadata: Object.fromEntries(values),
      };
    },
  };
}

interface Level {
  readonly filter: string;
  readonly name?: string;
}

function parseLevel(text: string): Level | undefined {
  const [, name] = namePattern.exec(text) ?? [];
  if (name !== undefined) return { filter: name === rest ? "#" : "+", name };
  if (text === "+" || text === "#") return { filter: text };
  return /[{}+#\0]/.test(text) ? undefined : { filter: text };
}

function valuesOf(levels: readonly Level[], topic: readonly string[]): Map<string, string> | undefined {
  const values = new Map<string, string>();
  for (const [index, { filter, name }] of levels.entries()) {
    if (filter === "#") {
      if (name !== undefined) values.set(name, topic.slice(index).join("/"));
      return values;
    }
    const level = topic[index];
    if (level === undefined || (filter !== "+" && filter !== level)) return undefined;
    if (name !== undefined) values.set(name, level);
  }
  return levels.length === topic.length ? values : undefined;
}
