import { type JSX, Show } from "solid-js";
import type { MqttState } from "../../../../contract/mqtt.ts";
import { createClockWords } from "../../app/clock-words.ts";
import { formatCount } from "../../ui/format.ts";

/** The subscription to a broker: whether it is connected, and what becomes of its messages. */
export function MqttPanel(props: { mqtt: MqttState }): JSX.Element {
  const clock = createClockWords();
  const connected = (): boolean => props.mqtt.state === "connected";
  return (
    <section class="panel" aria-labelledby="mqtt-title">
      <div class="panel-head">
        <h2 id="mqtt-title">MQTT</h2>
        <span class="panel-note">
          {props.mqtt.broker}, version {props.mqtt.version}, QoS {props.mqtt.qos}
        </span>
      </div>
      <dl class="pairs">
        <div>
          <dt>Connection</dt>
          <dd>
            <span class="status" data-status={connected() ? "online" : "silent"}>
              <i aria-hidden="true" />
              {connected() ? "Connected" : "Connecting"}
            </span>
            , {clock.ago(props.mqtt.since)}
          </dd>
        </div>
        <Show when={props.mqtt.waiting_for}>
          {(reason) => (
            <div>
              <dt>Not reading</dt>
              <dd>{reason()}</dd>
            </div>
          )}
        </Show>
        <Show when={props.mqtt.last_error}>
          {(error) => (
            <div>
              <dt>Last error</dt>
              <dd>{error()}</dd>
            </div>
          )}
        </Show>
        <div>
          <dt>Topics</dt>
          <dd>{props.mqtt.topics.join(", ")}</dd>
        </div>
        <div>
          <dt>Messages</dt>
          <dd>
            {formatCount(props.mqtt.received)} received, {formatCount(props.mqtt.acknowledged)} acknowledged,{" "}
            {formatCount(props.mqtt.in_flight)} in flight, {formatCount(props.mqtt.dead_lettered)} dead-lettered
          </dd>
        </div>
      </dl>
    </section>
  );
}
