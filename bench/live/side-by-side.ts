import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/**
 * slirp4netns, pasta and hopscope, one after the other: a guest in a network namespace, iperf3's server on loopback, MTU
 * 1500. `npm run bench:live` prints a table; `HOPSCOPE_SECONDS` is how long each transfer lasts.
 */
const SECONDS = Number(process.env["HOPSCOPE_SECONDS"] ?? 5);
const ROUNDS = Number(process.env["HOPSCOPE_ROUNDS"] ?? 3);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PORT = 5_000 + (process.pid % 1_000);
const NAMESPACE = `hopscope-bench-${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), "hopscope-bench-"));

/** Megabits per second, and thousands of datagrams of 64 bytes per second that arrived. */
interface Figures {
  readonly up: number;
  readonly down: number;
  readonly upPackets: number;
  readonly downPackets: number;
}

interface Peer {
  readonly name: string;
  /** The host's loopback as the guest knows it. */
  readonly server: string;
  /** Runs `script` in a shell of the guest; answers what it printed. */
  run(script: string): Promise<string>;
}

interface Report {
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum: { readonly packets: number; readonly lost_packets: number; readonly seconds: number };
  };
  readonly server_output_json?: Report;
}

const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });
const inGuest = (script: string): string =>
  execFileSync("ip", ["netns", "exec", NAMESPACE, "sh", "-c", script], { encoding: "utf8", maxBuffer: 64 << 20 });

async function until(what: string, ready: () => boolean): Promise<void> {
  for (let turn = 0; turn < 600; turn++) {
    if (ready()) return;
    await sleep(100);
  }
  throw new Error(`${what} did not come up`);
}

const succeeds = (...command: [string, ...string[]]): boolean =>
  spawnSync(command[0], command.slice(1), { stdio: "ignore" }).status === 0;

/** In a namespace of its own, with the programs that serve it. */
async function inNamespace<T>(
  serve: (children: ChildProcess[]) => Promise<void>,
  action: () => Promise<T>,
): Promise<T> {
  const children: ChildProcess[] = [];
  ip("netns", "add", NAMESPACE);
  try {
    ip("-n", NAMESPACE, "link", "set", "lo", "up");
    await serve(children);
    return await action();
  } finally {
    for (const child of children.reverse()) child.kill();
    await sleep(300);
    ip("netns", "delete", NAMESPACE);
  }
}

async function serveSlirp(children: ChildProcess[]): Promise<void> {
  const holder = spawn("ip", ["netns", "exec", NAMESPACE, "sleep", "100000"], { stdio: "ignore" });
  children.push(holder);
  await until("the namespace", () => ip("netns", "pids", NAMESPACE).trim() !== "");
  const pid = ip("netns", "pids", NAMESPACE).trim().split("\n")[0]!;
  children.push(spawn("slirp4netns", ["--configure", "--mtu=1500", pid, "tap0"], { stdio: "ignore" }));
  await until("slirp4netns", () => succeeds("ip", "-n", NAMESPACE, "route", "get", "10.0.2.2"));
}

async function serveHopscope(children: ChildProcess[]): Promise<void> {
  const socket = join(folder, "guest.sock");
  const attach = ["dist/cli/main.js", "attach", "--qemu", `unix:${socket}`];
  children.push(spawn(process.execPath, attach, { cwd: ROOT, stdio: "ignore" }));
  await until("hopscope attach", () => succeeds("test", "-S", socket));
  const pump = ["netns", "exec", NAMESPACE, "perl", join(ROOT, "bench/live/tap-pump.pl"), "tap0", socket];
  children.push(spawn("ip", pump, { stdio: "ignore" }));
  await until("the pump", () => succeeds("ip", "-n", NAMESPACE, "link", "show", "tap0"));
  ip("-n", NAMESPACE, "link", "set", "tap0", "up");
  ip("-n", NAMESPACE, "address", "add", "192.168.65.3/24", "dev", "tap0");
  ip("-n", NAMESPACE, "route", "add", "default", "via", "192.168.65.1");
}

const slirp: Peer = {
  name: "slirp4netns",
  server: "10.0.2.2",
  run: (script) => inNamespace(serveSlirp, async () => inGuest(script)),
};
const hopscope: Peer = {
  name: "hopscope",
  server: "192.168.65.2",
  run: (script) => inNamespace(serveHopscope, async () => inGuest(script)),
};
/** As root in a user namespace: else it becomes nobody, who may not open /dev/net/tun. */
const pasta: Peer = {
  name: "pasta",
  server: "10.3.0.1",
  run: async (script) =>
    execFileSync(
      "unshare",
      ["-U", "-r", "pasta", "-q", "--config-net", "-a", "10.3.0.2", "-n", "24", "-g", "10.3.0.1", "-m", "1500"].concat([
        "-t",
        "none",
        "-u",
        "none",
        "-T",
        "none",
        "-U",
        "none",
        "--",
        "sh",
        "-c",
        script,
      ]),
      { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], maxBuffer: 64 << 20 },
    ),
};

/** iperf3's four runs, each into a file of its own. */
function script(server: string): string {
  const client = `iperf3 -c ${server} -p ${PORT} -t ${SECONDS} -J --get-server-output`;
  const runs = { up: "", down: "-R", "up-packets": "-u -l 64 -b 0", "down-packets": "-u -l 64 -b 0 -R" };
  return Object.entries(runs)
    .map(([name, options]) => `${client} ${options} > ${folder}/${name}.json || true; sleep 0.5`)
    .join("\n");
}

function report(name: string): Report {
  return JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) as Report;
}

/** What the receiver counted. */
function packets(name: string, received: (report: Report) => Report): number {
  const { packets: sent, lost_packets: lost, seconds } = received(report(name)).end.sum;
  return (sent - lost) / seconds / 1e3;
}

async function measure(peer: Peer): Promise<Figures> {
  await peer.run(script(peer.server));
  const megabits = (name: string) => (report(name).end.sum_received?.bits_per_second ?? 0) / 1e6;
  return {
    up: megabits("up"),
    down: megabits("down"),
    upPackets: packets("up-packets", (own) => own.server_output_json ?? own),
    downPackets: packets("down-packets", (own) => own),
  };
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

function summary(rounds: readonly Figures[]): Figures {
  const of = (key: keyof Figures) => median(rounds.map((each) => each[key]));
  return { up: of("up"), down: of("down"), upPackets: of("upPackets"), downPackets: of("downPackets") };
}

const server = spawn("iperf3", ["-s", "-B", "127.0.0.1", "-p", `${PORT}`], { stdio: "ignore" });
try {
  await sleep(500);
  const peers = [slirp, pasta, hopscope];
  const rounds = new Map<string, Figures[]>(peers.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const peer of peers) rounds.get(peer.name)!.push(await measure(peer));
  const reference = summary(rounds.get("slirp4netns")!);
  console.log(`MTU 1500, ${SECONDS} s each, median of ${ROUNDS}; in brackets, against slirp4netns in the same run`);
  for (const { name } of peers) {
    const { up, down, upPackets, downPackets } = summary(rounds.get(name)!);
    const ratio = (value: number, other: number) => `(${(value / other).toFixed(2)})`;
    console.log(
      [
        name.padEnd(12),
        `TCP up ${up.toFixed(0)} Mbit/s ${ratio(up, reference.up)}`,
        `down ${down.toFixed(0)} Mbit/s ${ratio(down, reference.down)}`,
        `UDP 64 B up ${upPackets.toFixed(0)}k/s ${ratio(upPackets, reference.upPackets)}`,
        `down ${downPackets.toFixed(0)}k/s ${ratio(downPackets, reference.downPackets)}`,
      ].join("  "),
    );
  }
} finally {
  server.kill();
  rmSync(folder, { recursive: true });
}
