/** `npm run dev`: the service restarting on change, and Vite with hot reload in front of it. */
const children = [
  Bun.spawn([process.execPath, "--watch", "server/main.ts"], { stdio: ["inherit", "inherit", "inherit"] }),
  Bun.spawn([process.execPath, "x", "vite", "client"], { stdio: ["inherit", "inherit", "inherit"] }),
];

const stopAll = (): void => {
  for (const child of children) child.kill("SIGTERM");
};
process.on("SIGINT", stopAll);
process.on("SIGTERM", stopAll);
await Promise.race(children.map((child) => child.exited));
stopAll();
await Promise.all(children.map((child) => child.exited));

export {};
