import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parseScenario, runScenario } from "../../src/scenario/scenario.ts";
import { readPcap } from "../../src/trace/pcap.ts";
import { formatIpv4, formatMac } from "../../src/wire/address.ts";

/** A host with one card, two devices on it for two containers, and a neighbour on the same cable. */
const MACS = { host: "02:00:00:00:00:01", lan: "02:00:00:00:00:02", m1: "02:00:00:00:01:01", m2: "02:00:00:00:01:02" };
const ADDRESSES = { host: "10.0.0.1", lan: "10.0.0.2", m1: "10.0.0.101", m2: "10.0.0.102" };
type Place = keyof typeof ADDRESSES;
const PLACES = Object.keys(ADDRESSES) as Place[];
/** Who pings whom. */
const PINGS: readonly (readonly [Place, Place])[] = [
  ["m1", "m2"],
  ["m1", "lan"],
  ["lan", "m2"],
  ["host", "m1"],
  ["m1", "host"],
  ["host", "lan"],
];
/** Those that Linux was recorded with, and those that its kernel had not. */
const RECORDED = ["macvlan bridge", "macvlan private", "macvlan vepa"] as const;
const UNRECORDED = ["ipvlan l2", "ipvlan l3"] as const;
type Kind = (typeof RECORDED | typeof UNRECORDED)[number];

interface Seen {
  /** Whether each ping was answered. */
  readonly answered: readonly boolean[];
  /** Frames of each place's device, a line each. */
  readonly frames: Readonly<Record<Place, readonly string[]>>;
}

/** What matters of a frame: identifiers are drawn by whoever sends. */
function describeFrame(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const mac = (at: number) => formatMac(view.getUint16(at), view.getInt32(at + 2));
  const ip = (at: number) => formatIpv4(view.getInt32(at));
  const ends = `${mac(6)} > ${mac(0)}`;
  if (view.getUint16(12) === 0x0806) return `${ends} arp ${view.getUint16(20)} ${ip(28)} asks ${ip(38)}`;
  if (view.getUint16(12) === 0x0800)
    return `${ends} ip ${ip(26)} > ${ip(30)} ttl ${bytes[22]} protocol ${bytes[23]} type ${bytes[34]} code ${bytes[35]}`;
  return `${ends} ${view.getUint16(12).toString(16)}`;
}

function simulated(kind: Kind): Seen {
  const [driver, mode] = kind.split(" ");
  const run = (name: string) => {
    const mac = driver === "macvlan" ? ` --mac-address ${MACS[name as Place]}` : "";
    return `docker run -d --name ${name} --network up --ip ${ADDRESSES[name as Place]}${mac} alpine`;
  };
  const text = `title: Devices on another
until: ${PINGS.length * 8}s
namespaces:
  host: { devices: { eth0: { mac: "${MACS.host}", addresses: [10.0.0.1/24] } } }
  lan: { devices: { eth0: { mac: "${MACS.lan}", addresses: [10.0.0.2/24] } } }
links: [{ ends: [host/eth0, lan/eth0] }]
docker:
  run:
    - docker network create -d ${driver} --subnet 10.0.0.0/24 --gateway 10.0.0.254 -o ${driver}_mode=${mode} -o parent=eth0 up
    - ${run("m1")}
    - ${run("m2")}
steps:
${PINGS.map(([from, to], i) => `  - { run: ping -c 1 -W 1 ${ADDRESSES[to]}, in: ${from}, name: p${i}, at: ${i * 8}s }`).join("\n")}
`;
  const { programs, capture, recorder } = runScenario(parseScenario(text, "upper.yaml"));
  const frames = Object.fromEntries(
    PLACES.map((place) => [
      place,
      capture.frames.flatMap(({ place: at, bytes, time }) => {
        const name = recorder.names.get(at);
        const here = name?.kind === "device" && name.namespace === place && name.device === "eth0";
        return here && time < PINGS.length * 8e9 ? [describeFrame(bytes)] : [];
      }),
    ]),
  ) as unknown as Seen["frames"];
  return { answered: programs.map(({ status }) => status === 0), frames };
}

/** One echo request, and a second to answer it: not every machine has ping. */
const PING = `
import os, select, socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
ident = os.getpid() & 0xffff
body = struct.pack("!BBHHH", 8, 0, 0, ident, 1) + bytes(56)
total = sum(struct.unpack("!32H", body))
total = (total >> 16) + (total & 0xffff)
total += total >> 16
s.sendto(body[:2] + struct.pack("!H", ~total & 0xffff) + body[4:], (sys.argv[1], 0))
end = time.monotonic() + 1
while time.monotonic() < end:
    if not select.select([s], [], [], max(0, end - time.monotonic()))[0]: break
    data = s.recv(2000)
    if data[20] == 0 and struct.unpack("!H", data[24:26])[0] == ident: sys.exit(0)
sys.exit(1)
`;

const sleep = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));

/** The same by `ip link add`, `ping` and `tcpdump` in network namespaces of this machine. */
async function real(kind: Kind): Promise<Seen> {
  const [driver, mode] = kind.split(" ");
  const space = (place: Place) => `up-${process.pid}-${place}`;
  const folder = mkdtempSync(join(tmpdir(), "upper-"));
  const ip = (...words: string[]) => execFileSync("ip", words);
  const within = (place: Place, ...words: string[]) => ["netns", "exec", space(place), ...words];
  try {
    for (const place of PLACES) {
      ip("netns", "add", space(place));
      ip(...within(place, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"));
    }
    ip(
      "link",
      "add",
      "eth0",
      "netns",
      space("host"),
      "address",
      MACS.host,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      space("lan"),
      "address",
      MACS.lan,
    );
    for (const place of ["m1", "m2"] as const) {
      const mac = driver === "macvlan" ? ["address", MACS[place]] : [];
      ip(
        "-n",
        space("host"),
        "link",
        "add",
        "link",
        "eth0",
        "name",
        "eth0",
        "netns",
        space(place),
        ...mac,
        "type",
        driver!,
        "mode",
        mode!,
      );
    }
    for (const place of PLACES) {
      ip("-n", space(place), "addr", "add", `${ADDRESSES[place]}/24`, "dev", "eth0");
      ip("-n", space(place), "link", "set", "eth0", "up");
    }
    for (const place of ["m1", "m2"] as const)
      ip("-n", space(place), "route", "add", "default", ...(mode === "l3" ? [] : ["via", "10.0.0.254"]), "dev", "eth0");
    await sleep(500);
    const files = PLACES.map((place) => join(folder, `${place}.pcap`));
    const dumps = PLACES.map((place, i) =>
      spawn("ip", within(place, "tcpdump", "-i", "eth0", "-U", "-w", files[i]!, "-Z", "root", "not ip6"), {
        stdio: "ignore",
      }),
    );
    for (const file of files) while (!existsSync(file)) await sleep(50);
    await sleep(500);
    const answered: boolean[] = [];
    for (const [from, to] of PINGS) {
      let answer = true;
      try {
        ip(...within(from, "python3", "-c", PING, ADDRESSES[to]));
      } catch {
        answer = false;
      }
      answered.push(answer);
      await sleep(6500);
    }
    for (const dump of dumps) dump.kill("SIGINT");
    await sleep(500);
    const frames = Object.fromEntries(
      PLACES.map((place, i) => [place, framesOf(files[i]!)]),
    ) as unknown as Seen["frames"];
    return { answered, frames };
  } finally {
    for (const place of PLACES) {
      try {
        ip("netns", "del", space(place));
      } catch {
        // It was not there yet.
      }
    }
    rmSync(folder, { recursive: true });
  }
}

const framesOf = (file: string): string[] =>
  Array.from(readPcap(readFileSync(file), file).packets, ({ bytes }) => describeFrame(bytes));

const recordingOf = (kind: Kind) =>
  fileURLToPath(new URL(`./recorded/upper/${kind.replace(" ", "-")}.json`, import.meta.url));

const wanted = process.env.HOPSCOPE_UPPER === "1" && process.getuid?.() === 0;
const skipped = wanted ? "" : " (skipped: it takes a minute each, so only root with HOPSCOPE_UPPER=1 runs them)";

/** `ip link add type ipvlan` says so. */
function hasIpvlan(): boolean {
  if (!wanted) return false;
  const link = (...words: string[]) => spawnSync("ip", ["link", ...words]).status === 0;
  const made =
    link("add", "upper0", "type", "dummy") && link("add", "link", "upper0", "name", "upper1", "type", "ipvlan");
  link("del", "upper0");
  return made;
}

describe("macvlan devices", () => {
  it.each(RECORDED)("of kind %s do what Linux 6.18 was recorded doing, frame for frame", (kind) => {
    expect(simulated(kind)).toEqual(JSON.parse(readFileSync(recordingOf(kind), "utf8")));
  });

  it("reach each other and the neighbours in mode bridge, and never their own host", () => {
    expect(simulated("macvlan bridge").answered).toEqual([true, true, true, false, false, true]);
  });
});

describe("ipvlan devices", () => {
  it("of mode l2 reach each other and the neighbours by their parent's address, and never their own host", () => {
    const { answered, frames } = simulated("ipvlan l2");
    expect(answered).toEqual([true, true, true, false, false, true]);
    expect(frames.lan).toContain(`${MACS.host} > ${MACS.lan} ip 10.0.0.101 > 10.0.0.2 ttl 64 protocol 1 type 8 code 0`);
    expect(frames.host.filter((frame) => frame.includes("10.0.0.101 > 10.0.0.102"))).toEqual([]);
  });

  it("of mode l3 ask for no MAC address, and nobody can ask for theirs", () => {
    const { answered, frames } = simulated("ipvlan l3");
    expect(answered).toEqual([true, false, false, false, false, true]);
    expect(frames.m1.filter((frame) => frame.includes(" arp "))).toEqual([]);
    expect(frames.lan).toContain(`${MACS.host} > ${MACS.lan} ip 10.0.0.101 > 10.0.0.2 ttl 64 protocol 1 type 8 code 0`);
    expect(frames.lan).toContain(`${MACS.lan} > ff:ff:ff:ff:ff:ff arp 1 10.0.0.2 asks 10.0.0.101`);
  });
});

describe.skipIf(!wanted)(`this kernel's devices on another${skipped}`, () => {
  const kinds: readonly Kind[] = [...RECORDED, ...(hasIpvlan() ? UNRECORDED : [])];

  it.each(kinds)("of kind %s do the same", { timeout: 180_000 }, async (kind) => {
    const seen = await real(kind);
    if (process.env.ACCEPT === "1") writeFileSync(recordingOf(kind), `${JSON.stringify(seen, null, 1)}\n`);
    expect(simulated(kind)).toEqual(seen);
  });
});
