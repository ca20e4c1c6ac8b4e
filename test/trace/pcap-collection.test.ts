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
const noTshark = absent || missingTools("tshark");

/** Their fractions of a second are more than a second: carried here, printed as it is or cut to 32 bits by Wireshark. */
const ODD_FRACTIONS = [
  "atm-oam-loopback-print-overrun.pcap",
  "timestamp_invalid_micro.pcap",
  "timestamp_invalid_nano.pcap",
];

/** Sections with interfaces of different names; Wireshark 4.0 shows those of the first for all. */
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

describe(`captures of other programs${absent}`, () => {
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
    let packets = 0;
    let counted = 0;
    let timed = 0;
    for (const [file, list] of read) {
      const ours = summarize(list);
      packets += ours.packets;
      const their = theirs.get(file);
      if (their === undefined) {
        expect(await lines("tcpdump", "--count", "-r", file), file).toContain(
          ours.packets === 1 ? "1 packet" : `${ours.packets} packets`,
        );
        counted++;
      } else {
        // Wireshark 4.0 compares times as 32-bit seconds, so that it errs about which is the first of distant ones.
        const distant = ours.times !== null && Number(ours.times[1]) - Number(ours.times[0]) >= 2 ** 31;
        if (distant || ODD_FRACTIONS.includes(basename(file))) expect({ ...ours, times: their.times }).toEqual(their);
        else {
          expect(ours, file).toEqual(their);
          timed++;
        }
      }
    }
    const wireshark = `${theirs.size} as Wireshark (${timed} also in time)`;
    console.log(`${files.length} files, ${packets} packets: ${wireshark}, ${counted} as libpcap`);
    expect(theirs.size + counted).toBe(files.length);
  });

  it.skipIf(noTshark !== "")(`have each packet as tshark shows it${noTshark}`, { timeout: 120_000 }, async () => {
    const sample = files.filter((file, i) => file.endsWith(".pcapng") || file.includes("nano") || i % 20 === 0);
    let packets = 0;
    const compare = async (file: string): Promise<void> => {
      const fields = ["time_epoch", "cap_len", "len", "packet_flags_direction", "interface_name", "encap_type"];
      const rows = await tshark(file, ...fields.map((field) => `frame.${field}`));
      // Custom blocks are frames without an encapsulation to tshark; link types that it does not know give no rows.
      const their = rows.filter((row) => row.pop() !== "");
      if (rows.length === 0 && read.get(file)!.length > 0) return;
      const ours = read.get(file)!.map((packet) => {
        const lengths = [packet.bytes.length, packet.originalLength].map((length) => length - pseudoHeader(packet));
        const direction = packet.direction === null ? 0 : packet.direction === "in" ? 1 : 2;
        const name = packet.interface.name ?? (file.endsWith(".pcapng") ? "unknown" : "");
        return [
          packet.time === null ? "" : seconds(packet.time),
          ...lengths.map(String),
          `0x0000000${direction}`,
          name,
        ];
      });
      // Packets without the option, and those that say "unknown", are the same here.
      for (const row of their) row[3] ||= "0x00000000";
      if (SECTIONS.includes(basename(file))) for (const row of [...ours, ...their]) row.pop();
      packets += ours.length;
      expect(their, file).toEqual(ours);
    };
    const queue = sample.filter((file) => !ODD_FRACTIONS.includes(basename(file)));
    const total = queue.length;
    const work = async (): Promise<void> => {
      for (let file = queue.pop(); file !== undefined; file = queue.pop()) await compare(file);
    };
    await Promise.all([work(), work(), work(), work()]);
    console.log(`${total} files, ${packets} packets as tshark`);
    expect(packets).toBeGreaterThan(1000);
  });

  it.skipIf(noTools !== "")(`have the packets that Wireshark finds also when cut anywhere${noTools}`, async () => {
    const random = new Random(1);
    await withDirectory(async (directory) => {
      const ours = new Map<string, { readonly packets: number; readonly damaged: boolean }>();
      for (const [i, file] of files.entries()) {
        const whole = readFileSync(file);
        // In less than a section header Wireshark sees other formats.
        const cut = whole.subarray(0, 28 + random.below(whole.length - 27));
        const path = join(directory, `${i}-${basename(file)}`);
        writeFileSync(path, cut);
        const { packets, damage } = readUntilDamage(cut);
        ours.set(path, { packets: packets.length, damaged: damage !== null });
      }
      const theirs = await askCapinfos([...ours.keys()]);
      for (const [path, their] of theirs) expect(ours.get(path)!.packets, path).toBe(their.packets);
      // What Wireshark opens not at all has no packet here either, or is of a link type that it does not know.
      const unread = [...ours].filter(([path]) => !theirs.has(path));
      console.log(`${ours.size} cut files: ${theirs.size} as Wireshark, ${unread.length} that it does not open`);
      for (const [, { damaged }] of unread) expect(damaged).toBe(true);
    });
  });

  it.skipIf(absent !== "")(`throw nothing but an InputError when bytes are changed${absent}`, () => {
    const random = new Random(2);
    let damaged = 0;
    for (const file of files) {
      const bytes = new Uint8Array(readFileSync(file));
      for (let i = 0; i < 20; i++) {
        const changed = bytes.slice();
        for (let n = random.below(4); n >= 0; n--) changed[random.below(bytes.length)] = random.below(256);
        const { packets, damage } = readUntilDamage(changed);
        expect(packets.length).toBeLessThanOrEqual(changed.length / 12);
        if (damage !== null) damaged++;
      }
    }
    console.log(`${files.length * 20} changed files, ${damaged} refused`);
  });
});
