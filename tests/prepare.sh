#!/usr/bin/env bash
# Installs the programs that tests drive: on Debian, as root. At a terminal it asks first, unless CI is set.
# Elsewhere, or after a no, it names what is missing, and the tests that need it are shown as skipped.
set -u
# program:package
wanted=(chromium:chromium redis-server:redis-server mosquitto:mosquitto mosquitto_pub:mosquitto-clients
  influxd:influxdb promtool:prometheus prometheus-alertmanager:prometheus-alertmanager
  zooinspector:zookeeper icinga2:icinga2-bin firefox-esr:firefox-esr
  buildah:buildah crun:crun faketime:faketime)
missing=()
for entry in "${wanted[@]}"; do
  command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

may_install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  if [ -n "${CI:-}" ] || [ ! -t 0 ]; then return 0; fi
  read -r -p "The tests drive ${missing[*]}. Install with apt-get? [y/N] " reply
  [ "$reply" = y ] || [ "$reply" = Y ]
}

if may_install; then
  echo "installing ${missing[*]}"
  apt-get update -qq
  for package in "${missing[@]}"; do
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
      echo "could not install $package"
  done
fi
for entry in "${wanted[@]}"; do
  command -v "${entry%%:*}" >/dev/null || echo "missing: ${entry##*:} (tests that need it are skipped)"
done
exit 0
