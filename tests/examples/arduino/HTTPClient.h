#pragma once
#include "Arduino.h"

struct HTTPClient {
  bool begin(String url);
  void end();
  void setTimeout(uint16_t ms);
  void collectHeaders(const char *names[], size_t count);
  void addHeader(const String &name, const String &value);
  int POST(String body);
  String getString();
  String header(const char *name);
};
