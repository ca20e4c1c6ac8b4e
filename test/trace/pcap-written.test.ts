import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { CapturedFrame } from "../../src/trace/capture.ts";
import { Names } from "../../src/trace/names.ts";
import { formatPcapng } from "../../src/trace/pcapng.ts";
import { fold, sumBytes } from "../../src/wire/checksum.ts";
import { lines, missingTools, tshark, withDirectory } from "./pcap-tool.ts";

/** Ethernet, IPv4 and an ICMP echo request between 10.0.0.x addresses. */
function echo(from: number, to: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(42));
  view.setUint16(12, 0x0800);
  view.setUint32(14, 0x4500_001c);
  view.setUint32(22, 0x4001_0000);
  view.setUint32(26, 0x0a00_0000 + from);
  view.setUint32(30, 0x0a00_0000 + to);
  view.setUint16(24, ~fold(sumBytes(view, 14, 20)));
  view.setUint16(34, 0x0800);
  view.setUint16(36, ~fold(sumBytes(view, 34, 8)));
  return new Uint8Array(view.buffer);
}

const names = new Names();
const web = names.add({ kind: "device", namespace: "web", device: "eth0" });
const bridge = names.add({ kind: "device", namespace: "höst", device: "docker0" });
const frames: CapturedFrame[] = [
  { time: 0, packet: 1, place: web, direction: "out", type: "outgoing", bytes: echo(1, 2) },
  { time: 7, packet: 1, place: bridge, direction: "in", type: "host", bytes: echo(1, 2) },
  { time: 1_000_000_001, packet: 12, place: web, direction: "in", type: "otherhost", bytes: echo(2, 1) },
  {
    time: 9_007_199_254_740_991,
    packet: 2 ** 31 - 1,
    place: web,
    direction: "in",
    type: "broadcast",
    bytes: echo(3, 1),
  },
];

const noTshark = missingTools("tshark", "capinfos");
const noTcpdump = missingTools("tcpdump");

describe("a written pcapng file", () => {
  it.skipIf(noTshark !== "")(`says the same to tshark${noTshark}`, async () => {
    await withDirectory(async (directory) => {
      const file = join(directory, "some.pcapng");
      writeFileSync(file, formatPcapng(frames, names));
      const flags = ["direction", "reception_type"].map((flag) => `frame.packet_flags_${flag}`);
      const where = ["frame.time_epoch", "frame.interface_id", "frame.interface_name", "ip.src", "ip.dst"];
      expect(await tshark(file, ...where, "frame.packet_id", "frame.comment", ...flags)).toEqual([
        ["0.000000000", "0", "web/eth0", "10.0.0.1", "10.0.0.2", "1", "hopscope packet 1", "0x00000002", "0"],
        ["0.000000007", "1", "höst/docker0", "10.0.0.1", "10.0.0.2", "1", "hopscope packet 1", "0x00000001", "1"],
        ["1.000000001", "0", "web/eth0", "10.0.0.2", "10.0.0.1", "12", "hopscope packet 12", "0x00000001", "4"],
        [
          ...["9007199.254740991", "0", "web/eth0", "10.0.0.3", "10.0.0.1"],
          ...["2147483647", "hopscope packet 2147483647", "0x00000001", "3"],
        ],
      ]);
      const about = (await lines("capinfos", file)).map((line) => line.replace(/ +/g, " ").trim());
      const expected = [
        "File encapsulation: Ethernet",
        "File timestamp precision: nanoseconds (9)",
        "Capture application: hopscope",
        "Number of packets: 4",
        "Number of interfaces in file: 2",
      ];
      expect(about).toEqual(expect.arrayContaining(expected));
    });
  });

  it.skipIf(noTshark !== "")(`is an empty capture to tshark when nothing was captured${noTshark}`, async () => {
    await withDirectory(async (directory) => {
      const file = join(directory, "empty.pcapng");
      writeFileSync(file, formatPcapng([], names));
      expect(await lines("capinfos", "-T", "-r", "-c", file)).toEqual([`${file}\t0`]);
    });
  });

  it.skipIf(noTcpdump !== "")(`says the same to tcpdump${noTcpdump}`, async () => {
    await withDirectory(async (directory) => {
      const file = join(directory, "some.pcapng");
      writeFileSync(file, formatPcapng(frames, names));
      expect(await lines("tcpdump", "-ttn", "--nano", "-r", file)).toEqual([
        "0.000000000 IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 0, seq 0, length 8",
        "0.000000007 IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 0, seq 0, length 8",
        "1.000000001 IP 10.0.0.2 > 10.0.0.1: ICMP echo request, id 0, seq 0, length 8",
        "9007199.254740991 IP 10.0.0.3 > 10.0.0.1: ICMP echo request, id 0, seq 0, length 8",
      ]);
    });
  });
});
