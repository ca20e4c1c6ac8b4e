import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../src/sim/random.ts";
import type { CapturePacket } from "../../src/trace/pcap.ts";
import { readUntilDamage } from "./pcap-bytes.ts";
import { lines, missingTools, tshark, withDirectory } from "./pcap-tool.ts";

/** Captures of tcpdump's test suite and pcapng-test-generator's. */
const CAPTURES = fileURLToPath(new URL("../../../shared/data/captures", import.meta.url));
const absent = existsSync(CAPTURES) ? "" : " (skipped: no ../shared/data/captures beside the project)";
const files = absent === "" ? filesBelow(CAPTURES).sort() : [];
const noTools = absent || missingTools("capinfos", "tcpdump");
const noTshark = absent || missingTools("tshark", "capinfos", "mergecap");

/** Their fractions of a second are more than a second: carried here, printed as it is or cut to 32 bits by Wireshark. */
const ODD_FRACTIONS = [
  "atm-oam-loopback-print-overrun.pcap",
  "rx_serviceid_oobr.pcap",
  "timestamp_invalid_micro.pcap",
  "timestamp_invalid_nano.pcap",
];

/** Several sections, with interfaces of different names; Wireshark 4.0 takes all names from the first. */
const SECTIONS = ["test201.pcapng", "test202.pcapng"];

/** Wireshark counts this many bytes of a packet not as its own: the pseudo header of LINKTYPE_SUNATM. */
const pseudoHeader = (packet: CapturePacket): number => (packet.interface.linkType === 123 ? 4 : 0);

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(pcap|pcapng)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Seconds, as Wireshark prints them. */
function seconds(time: bigint): string {
  return `${time / 1_000_000_000n}.${`${time % 1_000_000_000n}`.padStart(9, "0")}`;
}

/** Time, two lengths, direction and interface, as tshark prints them; packets without a time mergecap copies with 0. */
function tsharkRow(packet: CapturePacket): string[] {
  const lengths = [packet.bytes.length, packet.originalLength].map((length) => `${length - pseudoHeader(packet)}`);
  const direction = packet.direction === null ? 0 : packet.direction === "in" ? 1 : 2;
  const name = packet.interface.name?.replace("\r\n", "\\r\\n") ?? "unknown";
  return [seconds(packet.time ?? 0n), ...lengths, `0x0000000${direction}`, name];
}

interface Summary {
  readonly packets: number;
  readonly originalBytes: number;
  /** Null where a packet has none. */
  readonly times: readonly [first: string, last: string] | null;
}

function summarize(packets: readonly CapturePacket[]): Summary {
  const times = packets.map(({ time }) => time).filter((time) => time !== null);
  const [first] = times;
  const least = times.reduce((a, b) => (b < a ? b : a), first ?? 0n);
  const most = times.reduce((a, b) => (b > a ? b : a), first ?? 0n);
  return {
    packets: packets.length,
    originalBytes: packets.reduce((sum, packet) => sum + packet.originalLength - pseudoHeader(packet), 0),
    times: first !== undefined && times.length === packets.length ? [seconds(least), seconds(most)] : null,
  };
}

/** What Wireshark's reader finds in these files; it knows fewer link types than there are. */
async function askCapinfos(paths: readonly string[]): Promise<Map<string, Summary>> {
  const found = new Map<string, Summary>();
  for (const line of await lines("capinfos", "-T", "-r", "-S", "-c", "-d", "-a", "-e", ...paths)) {
    const [path, packets, originalBytes, ...times] = line.split("\t");
    const [first, last] = times.map((time) => time.replace(/\..*/, (fraction) => fraction.padEnd(10, "0")));
    const known = first === "n/a" ? null : ([first!, last!] as const);
    found.set(path!, { packets: Number(packets), originalBytes: Number(originalBytes), times: known });
  }
  return found;
}

/** How many packets libpcap finds before the file's end or damage; none where it does not open the file. */
async function askTcpdump(path: string): Promise<number> {
  const [count = "0"] = await lines("tcpdump", "--count", "-r", path);
  return Number.parseInt(count, 10);
}

describe("captures of other programs", { timeout: 60_000 }, () => {
  const read = new Map<string, readonly CapturePacket[]>();

  beforeAll(() => {
    for (const file of files) {
      const { packets, damage } = readUntilDamage(readFileSync(file));
      if (damage !== null) throw damage;
      read.set(file, packets);
    }
  });

  it.skipIf(noTools !== "")(`have the packets, bytes and times that Wireshark and libpcap find${noTools}`, async () => {
    const theirs = await askCapinfos(files);
    expect(theirs.size).toBeGreaterThan(800);
    for (const [file, packets] of read) {
      const ours = summarize(packets);
      const their = theirs.get(file);
      if (their === undefined) {
        expect(ours.packets, file).toBe(await askTcpdump(file));
        continue;
      }
      // Wireshark 4.0 compares times as 32-bit seconds, so that it errs about which is the first of distant ones.
      const distant = ours.times !== null && Number(ours.times[1]) - Number(ours.times[0]) >= 2 ** 31;
      const comparable = !distant && !ODD_FRACTIONS.includes(basename(file));
      expect(comparable ? ours : { ...ours, times: their.times }, file).toEqual(their);
    }
  });

  it.skipIf(noTshark !== "")(`have each packet as Wireshark shows and copies it${noTshark}`, async () => {
    const known = [...(await askCapinfos(files)).keys()];
    const { rows, copies } = await withDirectory(async (directory) => {
      const merged = join(directory, "merged.pcapng");
      await lines("mergecap", "-a", "-I", "none", "-w", merged, ...known);
      const fields = ["time_epoch", "cap_len", "len", "packet_flags_direction", "interface_name", "encap_type"];
      const rows = await tshark(merged, ...fields.map((field) => `frame.${field}`));
      return { rows, copies: readUntilDamage(readFileSync(merged)) };
    });
    // Custom blocks, which are no packets, are frames without an encapsulation to tshark.
    const theirs = rows.filter((row) => row.pop() !== "");
    const ours = known.flatMap((file) => read.get(file)!.map((packet) => ({ name: basename(file), packet })));
    expect(copies.damage).toBeNull();
    expect([theirs.length, copies.packets.length]).toEqual([ours.length, ours.length]);
    for (const [i, { name, packet }] of ours.entries()) {
      const copy = copies.packets[i]!;
      const their = theirs[i]!;
      const our = tsharkRow(packet);
      // Packets without the option, and those that say "unknown", are the same here.
      their[3] ||= "0x00000000";
      if (ODD_FRACTIONS.includes(name)) their[0] = our[0]!;
      else expect(copy.time, name).toBe(packet.time ?? 0n);
      if (SECTIONS.includes(name)) their[4] = our[4]!;
      expect(their, name).toEqual(our);
      const [copied, own] = [copy, packet].map(({ bytes }) => bytes.subarray(pseudoHeader(packet)));
      expect(Buffer.compare(copied!, own!), name).toBe(0);
    }
  });

  it.skipIf(noTools !== "")(`have the packets that Wireshark and libpcap find also when cut${noTools}`, async () => {
    const random = new Random(1);
    await withDirectory(async (directory) => {
      const ours = new Map<string, number>();
      for (const [i, file] of files.entries()) {
        const whole = readFileSync(file);
        const cut = whole.subarray(0, random.below(whole.length));
        const { packets, damage } = readUntilDamage(cut);
        // What has no whole header Wireshark may take for another format.
        if (damage?.place.column === 1) continue;
        const path = join(directory, `${i}-${basename(file)}`);
        writeFileSync(path, cut);
        ours.set(path, packets.length);
      }
      const theirs = await askCapinfos([...ours.keys()]);
      expect(theirs.size).toBeGreaterThan(600);
      for (const [path, packets] of ours)
        expect(packets, path).toBe(theirs.get(path)?.packets ?? (await askTcpdump(path)));
    });
  });

  it.skipIf(absent !== "")(`throw nothing but an InputError when bytes are changed${absent}`, () => {
    const random = new Random(2);
    for (const file of files) {
      const bytes = new Uint8Array(readFileSync(file));
      for (let i = 0; i < 20; i++) {
        const changed = bytes.slice();
        for (let n = random.below(4); n >= 0; n--) changed[random.below(bytes.length)] = random.below(256);
        expect(readUntilDamage(changed).packets.length).toBeLessThanOrEqual(changed.length / 12);
      }
    }
  });
});
