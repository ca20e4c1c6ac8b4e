import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ip, missingForGuest, Stage } from "./guest.ts";
import { noise, origin, sha256 } from "./origin.ts";

const MISSING = missingForGuest(["socat", "curl", "dig", "python3"]);
const SKIPPED = MISSING === null ? "" : ` (skipped: ${MISSING})`;
/** `HOPSCOPE_TRANSFER` is the size of a transfer in bytes, another than 100 MB. */
const SIZE = Number(process.env["HOPSCOPE_TRANSFER"] ?? 100_000_000);
const PORT = 7000 + (process.pid % 1000);

/** One echo request to the address, by a raw socket: prints where the answer came from. */
const PING = `import socket, struct, sys
def checksum(b):
    s = sum(struct.unpack(">%dH" % (len(b) // 2), b)); s = (s >> 16) + (s & 65535); return 65535 - (s + (s >> 16) & 65535)
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); s.settimeout(20)
m = struct.pack(">BBHHH", 8, 0, 0, 7, 1) + b"hopscope"
s.sendto(m[:2] + struct.pack(">H", checksum(m)) + m[4:], (sys.argv[1], 0))
while True:
    d, a = s.recvfrom(2000)
    if d[20] == 0: print(a[0], d[28:].decode()); break
`;

describe.skipIf(MISSING !== null)(`Linux's own TCP behind hopscope attach${SKIPPED}`, { timeout: 600_000 }, () => {
  const content = noise(MISSING === null ? SIZE : 0);
  let folder: string;
  let server: Server;
  let port: number;
  let stage: Stage;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "hopscope-attach-"));
    writeFileSync(join(folder, "content"), content);
    ({ server, port } = await origin(content));
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    stage = new Stage();
  });
  afterEach(() => stage.end());

  /** A TAP whose frames socat sends as datagrams; it is made here and moved, for socat's sockets are of this namespace. */
  async function guest(args: readonly string[]) {
    const session = await stage.attach(["--datagram", `${PORT}`, ...args]);
    const namespace = stage.namespace();
    const device = `hs${process.pid % 100_000}`;
    stage.start("socat", ["-b", "65536", `TUN,tun-type=tap,iff-no-pi,tun-name=${device}`, `UDP:127.0.0.1:${PORT}`]);
    for (let turn = 0; ; turn++)
      try {
        ip("link", "set", device, "netns", namespace);
        break;
      } catch (error) {
        if (turn === 100) throw error;
        await sleep(50);
      }
    stage.configure(namespace, device);
    const run = async (...command: string[]): Promise<string> => {
      const running = stage.start("ip", ["netns", "exec", namespace, ...command]);
      await running.end();
      return running.output;
    };
    return { session, run };
  }

  const get = (url: string) => ["curl", "-sS", "-m", "250", "-o", join(folder, "got"), "-w", "%{http_code}", url];
  const put = (url: string) => ["curl", "-sS", "-m", "250", "-T", join(folder, "content"), url];

  it(`fetches and sends ${SIZE / 1e6} MB, and every byte arrives`, async () => {
    const { run } = await guest([]);
    const url = `http://192.168.65.2:${port}/`;
    expect(await run(...get(url))).toBe("200");
    expect(sha256(readFileSync(join(folder, "got")))).toBe(sha256(content));
    expect(await run(...put(url))).toBe(`${sha256(content)}\n`);
  });

  it.each([
    ["in a thousand frames", 1, ["--delay", "1ms", "--loss", "0.1%", "--duplicate", "0.1%", "--reorder", "0.1%"]],
    ["in a hundred", 50, ["--delay", "2ms", "--jitter", "1ms", "--loss", "1%", "--duplicate", "1%", "--reorder", "1%"]],
  ])(
    "does so over a link that delays, and loses, duplicates, reorders and corrupts one %s",
    async (_one, part, link) => {
      const some = content.subarray(0, SIZE / part);
      const other = await origin(some);
      writeFileSync(join(folder, "content"), some);
      try {
        const { run } = await guest([...link, "--corrupt", link.at(-1)!]);
        const url = `http://192.168.65.2:${other.port}/`;
        expect(await run(...get(url))).toBe("200");
        expect(sha256(readFileSync(join(folder, "got")))).toBe(sha256(some));
        expect(await run(...put(url))).toBe(`${sha256(some)}\n`);
      } finally {
        other.server.close();
        other.server.closeAllConnections();
        writeFileSync(join(folder, "content"), content);
      }
    },
  );

  it("pings the gateway, resolves names, and is told what it may not reach", async () => {
    const trace = join(folder, "trace.txt");
    const { session, run } = await guest(["--trace", trace]);
    expect(await run("python3", "-c", PING, "192.168.65.1")).toBe("192.168.65.1 hopscope\n");
    expect(await run("dig", "+short", "+time=20", "@192.168.65.1", "host.internal")).toBe("192.168.65.2\n");
    expect(await run("curl", "-sS", "-m", "60", "http://198.51.100.7/")).toMatch(/^curl: \(7\)/);
    expect(await session.interrupt(), session.output).toBe(0);
    const refusal = "198.51.100.7:80 is not allowed: guests reach this host's loopback alone";
    expect(session.output).toContain(refusal);
    const text = readFileSync(trace, "utf8").replace(/\s+/g, " ");
    expect(text).toContain(refusal);
    expect(text).toContain("connect() to 198.51.100.7:80: EACCES");
  });
});
