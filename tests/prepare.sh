#!/usr/bin/env bash
# Installs the programs that tests drive, where that can be done without asking: on Debian, as root. Elsewhere it names
# what is missing; the tests that need it then show as skipped.
set -u
missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v redis-server >/dev/null || missing+=(redis-server)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing ${missing[*]}"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
for program in "${missing[@]}"; do
  command -v "$program" >/dev/null || echo "missing: $program (tests that need it are skipped)"
done
exit 0
