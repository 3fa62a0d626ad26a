import type { Alert, Severity, Transition } from "../../../contract/alerts.ts";

/** A time in which an alert fired, in epoch seconds; infinite where it began before, or goes on after, what is known. */
export interface AlertMark {
  fromSecond: number;
  toSecond: number;
  severity: Severity;
  text: string;
}

/** More than anybody can tell apart on one chart. */
const marksMax = 500;
const over: readonly Transition["to"][] = ["resolved", "inactive"];

/** When alerts fired: from the transitions of a range, in any order, and from those that fire now, whose beginning may lie before it. */
export function alertMarks(transitions: readonly Transition[], firing: readonly Alert[]): AlertMark[] {
  const marks: AlertMark[] = [];
  const open = new Map<string, AlertMark>();
  const known = new Set<string>();
  const begin = (id: string, fromSecond: number, { severity, message }: Pick<Alert, "severity" | "message">): void => {
    const mark = { fromSecond, toSecond: Number.POSITIVE_INFINITY, severity, text: message };
    marks.push(mark);
    open.set(id, mark);
  };
  const inOrder = [...transitions].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  for (const transition of inOrder) {
    const { alert_id, to, at } = transition;
    const second = Date.parse(at) / 1000;
    if (to === "firing" && !open.has(alert_id)) begin(alert_id, second, transition);
    if (over.includes(to)) {
      // It fired already when the range began. What was pending and never fired leaves no mark.
      if (!known.has(alert_id) && transition.from !== "pending") begin(alert_id, Number.NEGATIVE_INFINITY, transition);
      const mark = open.get(alert_id);
      if (mark) mark.toSecond = second;
      open.delete(alert_id);
    }
    known.add(alert_id);
  }
  for (const alert of firing) if (!known.has(alert.id)) begin(alert.id, Date.parse(alert.started_at) / 1000, alert);
  return marks.slice(-marksMax);
}

/** Worst last, to be drawn over the others. */
export const severityOrder: readonly Severity[] = ["info", "warning", "critical"];

/** The times in which anything of a severity fired: a thousand alerts at once are one stretch. In the order to draw them in. */
export function mergedMarks(marks: readonly AlertMark[]): Omit<AlertMark, "text">[] {
  return severityOrder.flatMap((severity) => {
    const merged: Omit<AlertMark, "text">[] = [];
    const own = marks.filter((mark) => mark.severity === severity);
    for (const { fromSecond, toSecond } of own.sort((a, b) => a.fromSecond - b.fromSecond)) {
      const last = merged.at(-1);
      if (last && fromSecond <= last.toSecond) last.toSecond = Math.max(last.toSecond, toSecond);
      else merged.push({ fromSecond, toSecond, severity });
    }
    return merged;
  });
}
