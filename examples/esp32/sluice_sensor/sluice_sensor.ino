// A sensor that forgets nothing while its network is away: readings wait in a ring in memory and go out in batches. A batch
// keeps its Idempotency-Key until it is acknowledged, so that a repeated one is stored once. For the ESP32 core of Arduino.
//
// The ring does not outlive a reset; each reset begins with new keys. What must outlive one belongs on LittleFS.

#include <HTTPClient.h>
#include <WiFi.h>
#include <time.h>

const char *WIFI_NAME = "network";
const char *WIFI_PASSWORD = "password";
const char *SLUICE_URL = "http://192.168.1.10:8000/ingest?on_error=skip";
const char *SLUICE_KEY = "";  // One of INGEST_KEYS; empty where there are none.
const char *DEVICE_ID = "esp32-1";

const int SENSOR_PIN = 34;
const unsigned long READING_INTERVAL_MS = 1000;
const unsigned long LONGEST_BACKOFF_MS = 30000;
const int RING_READINGS = 600;  // Ten minutes without a network; past it the oldest are overwritten, and counted.
const int BATCH_READINGS = 60;

struct Reading {
  uint64_t epochMs;
  float value;
};

Reading ring[RING_READINGS];
int oldest = 0;
int waiting = 0;
unsigned long evicted = 0;
int batchReadings = 0;  // Of the batch under way: the oldest in the ring. They are not overwritten.
char batchKey[33];
unsigned long attempt = 0;
unsigned long nextReadingMs = 0;
unsigned long nextAttemptMs = 0;

uint64_t epochMs() {
  struct timeval now;
  gettimeofday(&now, nullptr);
  return (uint64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
}

void takeReading() {
  if (waiting == RING_READINGS) {
    // Drops the oldest that is in no batch: whether the batch was accepted is not known.
    for (int at = batchReadings; at + 1 < waiting; at++) {
      ring[(oldest + at) % RING_READINGS] = ring[(oldest + at + 1) % RING_READINGS];
    }
    waiting--;
    evicted++;
  }
  ring[(oldest + waiting) % RING_READINGS] = {epochMs(), analogRead(SENSOR_PIN) * 3.3f / 4095};
  waiting++;
}

void beginBatch() {
  batchReadings = waiting < BATCH_READINGS ? waiting : BATCH_READINGS;
  snprintf(batchKey, sizeof batchKey, "%08lx%08lx%08lx%08lx", (unsigned long)esp_random(), (unsigned long)esp_random(),
           (unsigned long)esp_random(), (unsigned long)esp_random());
}

String encodeBatch() {
  String body = "{\"events\":[";
  for (int at = 0; at < batchReadings; at++) {
    const Reading &reading = ring[(oldest + at) % RING_READINGS];
    char event[192];
    snprintf(event, sizeof event,
             "%s{\"device_id\":\"%s\",\"event_type\":\"voltage\",\"value_float\":%.4f,"
             "\"metadata\":{\"unit\":\"V\"},\"timestamp\":%llu}",
             at == 0 ? "" : ",", DEVICE_ID, reading.value, (unsigned long long)reading.epochMs);
    body += event;
  }
  return body + "]}";
}

// 202: durable on the service. Nothing else is an acknowledgement, and a wrong key or a portal's page least of all.
bool postBatch(unsigned long *retryAfterMs) {
  HTTPClient http;
  http.setTimeout(10000);
  if (!http.begin(SLUICE_URL)) return false;
  const char *kept[] = {"Retry-After"};
  http.collectHeaders(kept, 1);
  http.addHeader("Content-Type", "application/json");
  http.addHeader("Idempotency-Key", batchKey);
  if (SLUICE_KEY[0] != '\0') http.addHeader("Authorization", String("Bearer ") + SLUICE_KEY);
  int status = http.POST(encodeBatch());
  bool acknowledged = status == 202 && http.getString().startsWith("{\"status\":\"queued\"");
  *retryAfterMs = (unsigned long)http.header("Retry-After").toInt() * 1000;
  http.end();
  if (!acknowledged) Serial.printf("not acknowledged: %d, %d readings wait, %lu evicted\n", status, waiting, evicted);
  return acknowledged;
}

void sendBatch() {
  if (batchReadings == 0) beginBatch();
  unsigned long retryAfterMs = 0;
  if (WiFi.status() == WL_CONNECTED && postBatch(&retryAfterMs)) {
    oldest = (oldest + batchReadings) % RING_READINGS;
    waiting -= batchReadings;
    batchReadings = 0;
    attempt = 0;
    nextAttemptMs = millis();
    return;
  }
  unsigned long ceilingMs = attempt < 8 ? 200UL << attempt : LONGEST_BACKOFF_MS;
  if (ceilingMs > LONGEST_BACKOFF_MS) ceilingMs = LONGEST_BACKOFF_MS;
  attempt++;
  // Full jitter: a thousand sensors do not come back in the same moment.
  nextAttemptMs = millis() + retryAfterMs + esp_random() % ceilingMs;
}

void setup() {
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  configTime(0, 0, "pool.ntp.org");
  // Without the time there is nothing to say when a reading was taken.
  while (time(nullptr) < 1700000000) delay(200);
}

void loop() {
  // Differences of unsigned times hold when millis() starts anew, after seven weeks.
  if ((long)(millis() - nextReadingMs) >= 0) {
    nextReadingMs = millis() + READING_INTERVAL_MS;
    takeReading();
  }
  bool due = (long)(millis() - nextAttemptMs) >= 0;
  if (waiting > 0 && due) sendBatch();
  delay(10);
}
