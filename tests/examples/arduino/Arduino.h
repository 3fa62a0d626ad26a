// What the sketch uses of the ESP32 core of Arduino, declared and not defined: enough for a compiler to check it.
#pragma once
#include <cstdint>
#include <cstdio>
#include <string>
#include <sys/time.h>

struct String {
  std::string text;
  String(const char *from = "") : text(from) {}
  bool startsWith(const char *prefix) const;
  long toInt() const;
  const char *c_str() const;
  String &operator+=(const char *more);
  String operator+(const char *more) const;
};

struct SerialPort {
  void begin(unsigned long baud);
  int printf(const char *format, ...) __attribute__((format(printf, 2, 3)));
};
extern SerialPort Serial;

unsigned long millis();
void delay(uint32_t ms);
uint32_t esp_random();
uint16_t analogRead(uint8_t pin);
void configTime(long gmtOffsetSeconds, int daylightOffsetSeconds, const char *server);
