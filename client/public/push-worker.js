/* Part of the service worker: shows what the service pushes. A message is a declarative web push, so that browsers
   which know that kind show it themselves and never run this. */
self.addEventListener("push", (event) => {
  let message;
  try {
    message = event.data?.json();
  } catch {
    message = undefined;
  }
  const {
    title = "Sluice",
    body = "",
    navigate = "/alerts",
    tag = "sluice",
    silent = false,
    app_badge,
    data,
  } = message?.notification ?? {};
  const shown = self.registration.showNotification(title, {
    body,
    tag,
    silent,
    icon: "/icon-192.png",
    badge: "/icon-192.png",
    data: { ...data, navigate },
  });
  const badge = Number(app_badge);
  if (Number.isFinite(badge) && self.navigator.setAppBadge) {
    event.waitUntil(badge > 0 ? self.navigator.setAppBadge(badge) : self.navigator.clearAppBadge());
  }
  event.waitUntil(shown);
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const target = new URL(event.notification.data?.navigate ?? "/alerts", self.location.origin);
  event.waitUntil(open(target));
});

async function open(target) {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const [first] = windows;
  if (!first) return self.clients.openWindow(target.href);
  await first.focus();
  return first.navigate(target.href);
}
