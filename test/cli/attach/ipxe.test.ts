import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lacking, Stage } from "./guest.ts";

const ABSENT = lacking(["qemu-system-x86_64"]);
const SKIPPED = ABSENT.length === 0 ? "" : ` (skipped: not installed: ${ABSENT.join(", ")})`;
/** iPXE itself waits for many seconds, on an emulated processor. */
const SECONDS = 240;

describe.skipIf(ABSENT.length > 0)(`iPXE in QEMU behind hopscope attach${SKIPPED}`, { timeout: 300_000 }, () => {
  let folder: string;
  let stage: Stage;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "hopscope-ipxe-"));
    stage = new Stage();
  });
  afterEach(async () => {
    await stage.end();
    rmSync(folder, { recursive: true });
  });

  it("gets its address by DHCP, asks for the gateway's and fetches its script by HTTP", async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers["user-agent"]}`);
      response.end("#!ipxe\npoweroff\n");
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    const { port } = server.address() as AddressInfo;
    const socket = join(folder, "guest.sock");
    const trace = join(folder, "trace.txt");
    const boot = `http://192.168.65.2:${port}/boot.ipxe`;
    const session = await stage.attach(["--qemu", `unix:${socket}`, "--boot", boot, "--trace", trace]);
    const netdev = `stream,id=n,server=off,addr.type=unix,addr.path=${socket}`;
    const machine = ["-accel", "tcg", "-m", "64", "-display", "none", "-boot", "n", "-netdev", netdev];
    stage.start("qemu-system-x86_64", [...machine, "-device", "virtio-net-pci,netdev=n"]);
    for (let turn = 0; turn < SECONDS * 10 && asked.length === 0; turn++) await sleep(100);
    server.close();
    expect(asked[0], session.output).toMatch(/^GET \/boot\.ipxe iPXE\//);
    await sleep(1000);
    expect(await session.interrupt()).toBe(0);
    const text = readFileSync(trace, "utf8").replace(/\s+/g, " ");
    expect(text).toContain("DHCP: acknowledges 192.168.65.3");
    expect(text).toContain("ARP who has 192.168.65.2? tell 192.168.65.3");
    expect(text).toContain(`connect() to 127.0.0.1:${port}`);
  });
});
