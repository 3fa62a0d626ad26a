#!/usr/bin/env bash
# Builds the image without a registry: a root of Debian packages, the Bun and the packages of node_modules, and this project.
# Needs root, buildah and apt. Run in the project after `npm ci && npm run build`:  deploy/build-image.sh [NAME]
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:-localhost/sluice}
work=$(mktemp -d)
container=$(buildah from scratch)
trap 'rm -rf "$work"; buildah rm "$container" >/dev/null 2>&1 || true' EXIT
root=$(buildah mount "$container")

# What bun and libchdb.so are linked against, certificates, and time zones for ClickHouse. No shell, no package manager.
(cd "$work" && apt-get download -qq base-files libc6 libgcc-s1 libstdc++6 ca-certificates tzdata >/dev/null)
for package in "$work"/*.deb; do dpkg-deb -x "$package" "$root"; done
rm -rf "$root"/usr/share/{doc,man,lintian,locale} "$root"/usr/lib/x86_64-linux-gnu/gconv
mkdir -p "$root/etc/ssl/certs" "$root/tmp" "$root/data" "$root/app" "$root/usr/local/bin"
cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
printf 'root:x:0:0:root:/:/none\nsluice:x:65532:65532:Sluice:/data:/none\n' >"$root/etc/passwd"
printf 'root:x:0:\nsluice:x:65532:\n' >"$root/etc/group"
chown 65532:65532 "$root/data"
chmod 1777 "$root/tmp"

# Everything that the lockfile does not mark as development.
node -e '
  const { packages } = require("./package-lock.json");
  const skipped = /^node_modules\/(bun|@oven\/.*)$/;
  for (const [path, { dev, devOptional, link }] of Object.entries(packages))
    if (path && !dev && !devOptional && !link && !skipped.test(path) && require("fs").existsSync(path)) console.log(path);
' >"$work/packages"
tar c --files-from "$work/packages" | tar x -C "$root/app"
cp node_modules/bun/bin/bun.exe "$root/usr/local/bin/bun"
cp package.json "$root/app/"
tar c --exclude='*.test.ts' base contract cli sdk server workers ddl $([ -d client/dist ] && echo client/dist) | tar x -C "$root/app"

buildah umount "$container" >/dev/null
buildah config --user 65532:65532 --workingdir /app --port 8000 --volume /data --stop-signal SIGTERM \
  --env HOST=0.0.0.0 --env PORT=8000 --env DATA_DIR=/data --env NODE_ENV=production --env LOG_FORMAT=json \
  --healthcheck 'CMD /usr/local/bin/bun /app/cli/health-check.ts' \
  --healthcheck-interval 5s --healthcheck-timeout 3s --healthcheck-start-period 20s \
  --cmd '["/usr/local/bin/bun", "server/main.ts"]' "$container" 2>/dev/null
buildah commit -q --format docker "$container" "$name"
