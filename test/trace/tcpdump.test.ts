import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { runScenario } from "../../src/scenario/scenario.ts";
import { FilterError, parseFilter } from "../../src/trace/packet-filter.ts";
import { formatPcapng } from "../../src/trace/pcapng.ts";
import { NUMBERS, Tcpdump } from "../../src/trace/tcpdump.ts";
import { readScenario } from "../scenario/files.ts";
import { missingTools } from "./pcap-tool.ts";

const missing = missingTools("tcpdump");
/** Scenarios whose packets are of every kind that is printed: ARP, ICMP and its errors, fragments, UDP, DNS, TCP, HTTP. */
const NAMES = [
  "connect-blackhole",
  "desktop-dns",
  "desktop-lossy-link",
  "docker-proxy",
  "embedded-dns",
  "forward-drop",
  "loopback-published",
  "overlapping-lan",
  "path-mtu",
  "stale-udp",
  "traceroute",
  "what-opens-a-port",
];

describe.skipIf(missing !== "")(`tcpdump writes a capture as the one on this machine does${missing}`, () => {
  it.each(NAMES)("%s", (name) => {
    const { capture, world } = runScenario(readScenario(`${name}.yaml`));
    const file = formatPcapng(capture.frames, world.fabric.names);
    for (const [options, link] of [
      ["-nt", false],
      ["-nte", true],
    ] as const) {
      const { stdout } = spawnSync("tcpdump", [options, "-r", "-"], { input: file, maxBuffer: 1 << 28 });
      const printer = new Tcpdump(NUMBERS, link);
      const wanted = stdout.toString().trimEnd().split("\n");
      const got = capture.frames.map(({ bytes }) => printer.print(bytes));
      expect(got).toEqual(wanted);
    }
  });

  const { capture, world } = runScenario(readScenario("way-to-the-internet.yaml"));
  const tcp = runScenario(readScenario("docker-proxy.yaml"));

  it.each([
    "icmp",
    "arp",
    "not arp",
    "host 172.17.0.2",
    "src 172.17.0.2",
    "dst host 203.0.113.10 or arp",
    "net 172.17.0.0/16",
    "src net 192.168.65",
    "icmp and (src 172.17.0.2 or dst 172.17.0.2)",
    "host 172.17.0.2 or 192.168.65.3",
    "tcp port 80",
    "port 80 or 8080",
    "portrange 80-9000 and not src port 80",
    "tcp and greater 100",
    "less 60",
    "ether broadcast",
    "udp or sctp",
    "ip and !icmp && (tcp || udp)",
    "src or dst port 8080",
    "tcp dst port 8080 and dst host 192.168.65.3",
  ])("%s passes what it passes there", (expression) => {
    for (const { frames, names } of [
      { frames: capture.frames, names: world.fabric.names },
      { frames: tcp.capture.frames, names: tcp.world.fabric.names },
    ]) {
      const input = formatPcapng(frames, names);
      const { stdout } = spawnSync("tcpdump", ["-n", "--count", "-r", "-", expression], { input });
      const filter = parseFilter(expression.split(" "), { address: () => null, port: () => null });
      const passed = frames.filter(({ bytes }) => filter(new DataView(bytes.buffer, bytes.byteOffset, bytes.length)));
      expect(stdout.toString()).toMatch(new RegExp(`^${passed.length} packets?$`, "m"));
    }
  });
});

describe("a filter that cannot be read", () => {
  it.each([
    ["host", "it ends too early"],
    ["icmp and", "it ends too early"],
    ["port nope", 'no port is called "nope"'],
    ["host nowhere", 'unknown host "nowhere"'],
    ["net 300", '"300" is no network such as 172.17.0.0/16'],
    ["frobnicate", '"frobnicate" is not understood; hopscope knows host, net, '],
    ["(icmp", "it ends too early"],
    ["icmp)", '")" is not understood'],
    ["ether host 1.2.3.4", 'a MAC address is missing after ether, not "1.2.3.4"'],
  ])("%s: %s", (expression, message) => {
    const read = () => parseFilter(expression.split(" "), { address: () => null, port: () => null });
    expect(read).toThrow(FilterError);
    expect(read).toThrow(message);
  });
});
