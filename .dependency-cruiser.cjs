// The import table of src/README.md, enforced: which room (folder of src/) may import which. Type imports count.
const BASE = ["sim", "wire"];
const BELOW_SOCKET = [...BASE, "packet", "trace"];
const BELOW_KERNEL = [...BELOW_SOCKET, "link"];
const BELOW_WORLD = [...BELOW_KERNEL, "kernel", "tcp", "socket", "program", "translator"];
const BELOW_SCENARIO = [...BELOW_WORLD, "world", "docker", "inspect"];
const BELOW_EDGE = [...BELOW_SCENARIO, "scenario", "testing"];

const ROOMS = {
  sim: [],
  wire: [],
  packet: ["wire"],
  trace: BASE,
  link: BELOW_SOCKET,
  kernel: BELOW_KERNEL,
  tcp: BASE,
  socket: [...BELOW_SOCKET, "tcp"],
  program: [...BASE, "trace", "socket"],
  translator: [...BELOW_KERNEL, "tcp", "socket"],
  world: BELOW_WORLD,
  docker: [...BELOW_WORLD, "world"],
  inspect: ["wire", "link", "kernel", "translator", "world", "docker"],
  scenario: BELOW_SCENARIO,
  testing: [...BELOW_SCENARIO, "scenario"],
  cli: BELOW_EDGE,
  web: BELOW_EDGE,
};

/** Rooms that see the protocol interface of the kernel, and nothing else of it: types only. */
const SEES_PROTOCOL = ["socket", "translator"];
const PROTOCOL = "^src/kernel/protocol\\.ts$";

/** Third-party packages, each with the rooms that may use it. */
const PACKAGES = {
  "ip-address": ["wire"],
  "dns-packet": ["wire"],
  buffer: ["wire"],
  yaml: ["program", "docker", "scenario"],
  zod: ["docker", "scenario"],
  commander: ["cli"],
  picocolors: ["cli"],
  "fast-check": ["testing"],
};

const INDEX = "^src/index\\.ts$";
const room = (...names) => `^src/(${names.join("|")})/`;
const npm = (...names) => `(^|/)node_modules/(${names.join("|")})/`;

const roomRules = Object.entries(ROOMS).map(([name, below]) => {
  const edge = name === "cli" || name === "web";
  const allowed = [room(name, ...below), ...(edge ? [INDEX] : []), ...(SEES_PROTOCOL.includes(name) ? [PROTOCOL] : [])];
  return {
    name: `room-${name}`,
    comment: `${name} may import ${below.join(", ") || "no other room"}`,
    severity: "error",
    from: { path: room(name) },
    to: { path: "^(src|test|bench)/", pathNot: allowed },
  };
});

const packageRules = Object.entries(PACKAGES).map(([name, rooms]) => ({
  name: `package-${name}`,
  comment: `${name} belongs to ${rooms.join(", ")}`,
  severity: "error",
  from: { path: "^src/", pathNot: room(...rooms) },
  to: { path: npm(name) },
}));

module.exports = {
  forbidden: [
    ...roomRules,
    {
      name: "protocol-types-only",
      comment: "of the kernel, only the types of kernel/protocol.ts",
      severity: "error",
      from: { path: room(...SEES_PROTOCOL) },
      to: { path: PROTOCOL, dependencyTypesNot: ["type-only"] },
    },
    {
      name: "index-is-portable",
      comment: "the public API runs in Node and in a browser",
      severity: "error",
      from: { path: INDEX },
      to: { path: room("cli", "web") },
    },
    {
      name: "unlisted-room",
      comment: "a new room needs its line in the import table",
      severity: "error",
      from: {},
      to: { path: "^src/", pathNot: [room(...Object.keys(ROOMS)), INDEX] },
    },
    {
      name: "unlisted-room-imports",
      comment: "a new room needs its line in the import table",
      severity: "error",
      from: { path: "^src/", pathNot: [room(...Object.keys(ROOMS)), INDEX] },
      to: {},
    },
    {
      name: "no-cycle",
      comment: "inside a room, type imports may close a circle; between rooms the table admits none",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "node-only-in-cli",
      comment: "everything else runs in a browser too",
      severity: "error",
      from: { path: "^src/", pathNot: room("cli") },
      to: { dependencyTypes: ["core"] },
    },
    ...packageRules,
    {
      name: "unlisted-package",
      comment: "a new package needs its line in PACKAGES",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "(^|/)node_modules/", pathNot: npm(...Object.keys(PACKAGES)) },
    },
    {
      name: "not-found",
      comment: "the import leads nowhere",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "default"] },
  },
};
