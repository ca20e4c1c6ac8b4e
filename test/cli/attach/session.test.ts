import { createSocket } from "node:dgram";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LiveClock } from "../../../src/cli/attach/clock.ts";
import { parseCommand } from "../../../src/program/commands.ts";
import { LiveWorld } from "../../../src/scenario/live.ts";
import { parseScenario, runScenario } from "../../../src/scenario/scenario.ts";
import { formatJsonLines } from "../../../src/trace/json-lines.ts";
import { readTrace } from "../../../src/trace/trace.ts";
import { FrameReader, formatFrame, QEMU_STREAM, VMNET_STREAM } from "../../../src/translator/frame-stream.ts";
import { LogReader, RecordedHost } from "../../../src/translator/host-log.ts";
import { formatCommand, formatGreeting, NO_UUID, parseGreeting, parseReply } from "../../../src/translator/vmnet.ts";
import { Stage } from "./guest.ts";
import { noise, origin } from "./origin.ts";

/**
 * A guest that needs no privilege: a namespace of hopscope's, at the end of a real link. Its cable's far end is what the
 * link carries, as in a live session.
 */
const GUEST = `
title: A guest
namespaces:
  vm:
    devices: { eth0: { addresses: [192.168.65.3/24] } }
    routes: [default via 192.168.65.1]
  unused: {}
  cable: { devices: { link: {} } }
translators: { unused-translator: { preset: vpnkit, host: unused } }
links: [{ ends: [vm/eth0, cable/link] }]
recording: { guest: cable/link, translator: unused-translator, log: "" }
`;

/** The link's own side: what the guest sends, and frames for it. */
interface Wire {
  send(frame: Uint8Array): void;
  onFrame: (frame: Uint8Array) => void;
}

class SimulatedGuest {
  private readonly live: LiveWorld;
  private readonly clock: LiveClock;

  constructor(wire: Wire) {
    const { material } = parseScenario(GUEST, "guest.yaml");
    const toGuest = (frame: Uint8Array) => {
      wire.send(frame);
      return true;
    };
    this.live = new LiveWorld(material, 7, { sockets: new RecordedHost(new LogReader([])), toGuest });
    this.clock = new LiveClock(this.live);
    wire.onFrame = (frame) => this.clock.enter(() => void this.live.fromGuest(frame));
  }

  /** Runs a command in the guest, in real time; what it printed. */
  run(command: string): Promise<string[]> {
    const host = this.live.world.host("vm");
    const lines: string[] = [];
    return new Promise((resolve) =>
      this.clock.enter(() =>
        parseCommand(command, { file: "test", line: 1, column: 1 }).start({
          ...host,
          scheduler: this.live.world.fabric.scheduler,
          random: host.net.random.fork("program"),
          say: (line) => lines.push(line),
          exit: (status) => resolve([...lines, `status ${status}`]),
        }),
      ),
    );
  }

  stop(): void {
    this.clock.stop();
  }
}

const streamWire = (socket: Socket): Wire => {
  const wire: Wire = { send: (frame) => socket.write(formatFrame(QEMU_STREAM, frame)), onFrame: () => {} };
  const reader = new FrameReader(QEMU_STREAM, (frame) => wire.onFrame(frame));
  socket.on("data", (data: Buffer) => reader.push(data));
  return wire;
};

const closed = (socket: Socket): Promise<void> => new Promise((resolve) => void socket.on("close", () => resolve()));

async function bytesFrom(socket: Socket, count: number): Promise<Buffer> {
  let held = Buffer.alloc(0);
  const take = (data: Buffer) => {
    held = Buffer.concat([held, data]);
  };
  socket.on("data", take);
  while (held.length < count) await sleep(10);
  socket.off("data", take);
  return held;
}

describe("hopscope attach", { timeout: 120_000 }, () => {
  let folder: string;
  let stage: Stage;
  let path: string;
  const guests: SimulatedGuest[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "hopscope-session-"));
    path = join(folder, "guest.sock");
    stage = new Stage();
  });
  afterEach(async () => {
    for (const guest of guests.splice(0)) guest.stop();
    await stage.end();
    rmSync(folder, { recursive: true });
  });

  const plugIn = (wire: Wire): SimulatedGuest => {
    const guest = new SimulatedGuest(wire);
    guests.push(guest);
    return guest;
  };

  it("carries a guest's connections to this machine, and its recording replays to the same trace, byte for byte", async () => {
    const content = noise(300_000);
    const { server, port } = await origin(content);
    const record = join(folder, "session.yaml");
    const trace = join(folder, "trace.json");
    const session = await stage.attach(["--qemu", path, "--record", record, "--trace", trace, "-f", "json"]);
    const socket = connect(path);
    const guest = plugIn(streamWire(socket));
    const url = `http://192.168.65.2:${port}/`;
    const fetched = await guest.run(`curl -s -o /dev/null -w '%{http_code} %{size_download}' ${url}`);
    expect(fetched).toEqual(["200 300000", "status 0"]);
    expect((await guest.run("dig +short @192.168.65.1 host.internal"))[0]).toBe("192.168.65.2");
    expect((await guest.run("ping -c 1 -n 192.168.65.1"))[1]).toContain("64 bytes from 192.168.65.1: icmp_seq=1");
    expect((await guest.run("curl -s http://198.51.100.7/")).at(-1)).toBe("status 7");
    socket.destroy();
    expect(await session.end(), session.output).toBe(0);
    server.close();
    server.closeAllConnections();
    const live = readFileSync(trace, "utf8");
    expect(live).toContain("198.51.100.7:80 is not allowed");
    const again = runScenario(parseScenario(readFileSync(record, "utf8"), record));
    expect(formatJsonLines(readTrace(again.recorder))).toBe(live);
  });

  it("publishes ports of the guest on 127.0.0.1, by TCP and UDP, and tells that the client's address is lost", async () => {
    const [tcpPort, udpPort] = [10_000 + (process.pid % 900), 11_000 + (process.pid % 900)];
    const record = join(folder, "session.yaml");
    const trace = join(folder, "trace.json");
    const ports = ["--publish", `${tcpPort}:192.168.65.3:80`, "--publish", `${udpPort}:192.168.65.3:7/udp`];
    const session = await stage.attach(["--qemu", path, ...ports, "--record", record, "--trace", trace, "-f", "json"]);
    const socket = connect(path);
    const guest = plugIn(streamWire(socket));
    void guest.run("tcp-echo-server 80");
    void guest.run("udp-echo-server 7");
    await guest.run("ping -c 1 -n 192.168.65.1");
    const client = connect({ port: tcpPort, host: "127.0.0.1" });
    client.write(noise(70_000));
    expect((await bytesFrom(client, 70_000)).equals(Buffer.from(noise(70_000)))).toBe(true);
    client.destroy();
    const datagrams = createSocket("udp4");
    const answers: string[] = [];
    datagrams.on("message", (data, { port }) => answers.push(`${data} from ${port}`));
    for (const word of ["one", "two"]) {
      datagrams.send(word, udpPort, "127.0.0.1");
      while (!answers.includes(`${word} from ${udpPort}`)) await sleep(10);
    }
    datagrams.close();
    await sleep(200);
    socket.destroy();
    expect(await session.end(), session.output).toBe(0);
    const live = readFileSync(trace, "utf8");
    expect(live).toMatch(
      /the client's address 127\.0\.0\.1:\d+ is lost here: the gateway connects to 192\.168\.65\.3:80/,
    );
    expect(live).toMatch(/the client's address 127\.0\.0\.1:\d+ is lost here: the gateway sends to 192\.168\.65\.3:7/);
    const again = runScenario(parseScenario(readFileSync(record, "utf8"), record));
    expect(formatJsonLines(readTrace(again.recorder))).toBe(live);
  });

  it("says which port it cannot publish", async () => {
    const { server, port } = await origin(noise(10));
    const session = await stage.attach(["--qemu", path, "--publish", `${port}:192.168.65.3`]).catch((error) => error);
    if (!(session instanceof Error)) expect(await session.end()).not.toBe(0);
    expect(`${session instanceof Error ? session.message : session.output}`).toContain(`${port}`);
    server.close();
  });

  it("gives its unix socket to its owner alone", async () => {
    await stage.attach(["--qemu", `unix:${path}`]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("takes one frame per datagram", async () => {
    const port = 9000 + (process.pid % 900);
    await stage.attach(["--datagram", `${port}`]);
    const socket = createSocket("udp4");
    const wire: Wire = { send: (frame) => socket.send(Buffer.from(frame), port, "127.0.0.1"), onFrame: () => {} };
    socket.on("message", (frame) => wire.onFrame(frame));
    const lines = await plugIn(wire).run("ping -c 1 -n 192.168.65.1");
    socket.close();
    expect(lines[1]).toContain("64 bytes from 192.168.65.1: icmp_seq=1");
  });

  it("speaks VMNET: greeting, command, card, then frames", async () => {
    await stage.attach(["--vmnet", path]);
    const socket = connect(path);
    socket.write(formatGreeting({ version: 22, commit: "test" }));
    const greeting = await bytesFrom(socket, 49);
    expect(parseGreeting(greeting)).toMatchObject({ version: 22 });
    socket.write(formatCommand({ uuid: NO_UUID, address: 0 }));
    const card = await bytesFrom(socket, 258);
    expect(parseReply(card)).toMatchObject({ kind: "vif", mtu: 1500 });
    const wire: Wire = { send: (frame) => socket.write(formatFrame(VMNET_STREAM, frame)), onFrame: () => {} };
    const reader = new FrameReader(VMNET_STREAM, (frame) => wire.onFrame(frame));
    socket.on("data", (data: Buffer) => reader.push(data));
    const lines = await plugIn(wire).run("ping -c 1 -n 192.168.65.1");
    socket.destroy();
    expect(lines[1]).toContain("64 bytes from 192.168.65.1: icmp_seq=1");
  });

  it("cuts off what is no stream of frames, and says why", async () => {
    const session = await stage.attach(["--qemu", path]);
    const socket = connect(path);
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\n\r\n");
    socket.resume();
    await closed(socket);
    expect(await session.end()).toBe(1);
    expect(session.output).toContain("the guest is cut off: a frame of 1195725856 bytes is longer than 131072");
  });

  it.each([
    [["--qemu", "x:y"], '--qemu:1:1: found "x:y", expected unix:PATH, a PORT of 127.0.0.1, or ADDRESS:PORT'],
    [[], "attach:1:1: found no link, expected one of --qemu, --vmnet and --datagram"],
    [
      ["--qemu", "1", "--vmnet", "2"],
      "attach:1:1: found several links, expected one of --qemu, --vmnet and --datagram",
    ],
    [["--qemu", "1", "--publish", "80"], '--publish:1:1: found "80", expected [ADDRESS:]PORT:GUEST[:PORT]'],
    [["--qemu", "1", "--publish", "0:192.168.65.3"], "expected not a port: 0"],
    [["--qemu", "1", "--allow", "10.0.0.0/40"], "expected destinations (not a prefix length: 40)"],
    [["--qemu", "1", "--loss", "lots"], 'found "lots", expected a chance such as 10%'],
  ])("refuses %j with one line", async (args, message) => {
    const running = stage.start(process.execPath, ["--import", "tsx", "src/cli/main.ts", "attach", ...args]);
    expect(await running.end()).toBe(2);
    expect(running.output).toContain(message);
    expect(running.output.trim().split("\n")).toHaveLength(1);
  });
});
