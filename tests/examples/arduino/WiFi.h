#pragma once
#include "Arduino.h"

enum wl_status_t { WL_IDLE_STATUS, WL_CONNECTED };
enum wifi_mode_t { WIFI_OFF, WIFI_STA };

struct WiFiClass {
  void mode(wifi_mode_t mode);
  void begin(const char *name, const char *password);
  wl_status_t status();
};
extern WiFiClass WiFi;
