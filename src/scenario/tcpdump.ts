import { serviceName, servicePort } from "../inspect/service-name.ts";
import { lookUpHosts, reverseHosts } from "../program/resolv-conf.ts";
import type { Capture, CapturedFrame } from "../trace/capture.ts";
import { FilterError, type FilterNames, type PacketFilter, parseFilter } from "../trace/packet-filter.ts";
import { NUMBERS, Tcpdump, type TcpdumpNames } from "../trace/tcpdump.ts";
import { formatIpv4 } from "../wire/address.ts";
import type { Host } from "../world/world.ts";
import type { Job, Output } from "./session.ts";

interface TcpdumpOptions {
  /** `any` for every device. */
  readonly device: string | null;
  readonly numeric: boolean;
  readonly link: boolean;
  readonly timeless: boolean;
  /** 0 for no end. */
  readonly count: number;
  readonly direction: "in" | "out" | "inout";
  readonly expression: readonly string[];
}

/** Options that change nothing here: the capture is complete and written at once. */
const WITHOUT_EFFECT = "lUpKO";
const DIRECTIONS: Readonly<Record<string, string>> = { host: "In", broadcast: "B", multicast: "M", otherhost: "P" };
const SNAPSHOT = "snapshot length 262144 bytes";

/** What tcpdump says before it ends; the exit status is 1. */
class Complaint extends Error {}

/** `tcpdump [-entlUp] [-i DEVICE|any] [-c COUNT] [-Q in|out|inout] [FILTER]`, of tcpdump 4.99: it prints while packets pass. */
export function tcpdump(args: readonly string[], host: Host, capture: Capture, output: Output): Job {
  try {
    return new Watching(readOptions(args), host, capture, output);
  } catch (error) {
    if (!(error instanceof Complaint) && !(error instanceof FilterError)) throw error;
    const text = error instanceof FilterError ? `can't parse filter expression: ${error.message}` : error.message;
    output.err(`tcpdump: ${text}\n`);
    return { status: 1, endless: false, serves: false, watches: false, interrupt() {} };
  }
}

function readOptions(args: readonly string[]): TcpdumpOptions {
  const options = {
    device: null as string | null,
    numeric: false,
    link: false,
    timeless: false,
    count: 0,
    direction: "inout" as TcpdumpOptions["direction"],
  };
  const words = [...args];
  const value = (letter: string, rest: string): string => {
    const text = rest === "" ? words.shift() : rest;
    if (text === undefined) throw new Complaint(`option requires an argument -- '${letter}'`);
    return text;
  };
  while (/^-[^-]/.test(words[0] ?? "")) {
    const letters = words.shift()!.slice(1);
    for (let at = 0; at < letters.length; at++) {
      const letter = letters[at]!;
      const rest = letters.slice(at + 1);
      if (letter === "n") options.numeric = true;
      else if (letter === "e") options.link = true;
      else if (letter === "t") options.timeless = true;
      else if ("icQs".includes(letter)) {
        const text = value(letter, rest);
        if (letter === "i") options.device = text;
        else if (letter === "c") options.count = countOf(text);
        else if (letter === "Q") options.direction = directionOf(text);
        break;
      } else if (!WITHOUT_EFFECT.includes(letter))
        throw new Complaint(
          `hopscope does not model -${letter}; it knows -i, -n, -e, -t, -c and -Q, and run --pcap FILE`,
        );
    }
  }
  return { ...options, expression: words };
}

function countOf(text: string): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0) throw new Complaint(`invalid packet count ${text}`);
  return Number(text);
}

function directionOf(text: string): TcpdumpOptions["direction"] {
  if (text === "in" || text === "out" || text === "inout") return text;
  throw new Complaint(`unrecognized capture direction \`${text}'`);
}

class Watching implements Job {
  status: number | null = null;
  readonly endless = true;
  readonly serves = true;
  readonly watches = true;
  private readonly places = new Map<number, string>();
  private readonly filter: PacketFilter;
  private readonly printer: Tcpdump;
  private readonly any: boolean;
  private captured = 0;
  private readonly listener = (frame: CapturedFrame): void => this.hear(frame);

  /** @throws {Complaint | FilterError} */
  constructor(
    private readonly options: TcpdumpOptions,
    host: Host,
    private readonly capture: Capture,
    private readonly output: Output,
  ) {
    const devices = [...host.net.inDevices.values()].map(({ device }) => device);
    const name = options.device ?? devices.find(({ up, name: each }) => up && each !== "lo")?.name ?? "any";
    this.any = name === "any";
    const chosen = this.any ? devices : devices.filter((device) => device.name === name);
    if (chosen.length === 0)
      throw new Complaint(
        `${name}: No such device exists\n(there are ${[...devices.map((each) => each.name), "any"].join(", ")})`,
      );
    if (!this.any && !chosen[0]!.up) throw new Complaint(`${name}: That device is not up`);
    for (const device of chosen) this.places.set(device.place, device.name);
    this.filter = parseFilter(options.expression, namesOf(host));
    this.printer = new Tcpdump(options.numeric ? NUMBERS : shownNames(host), options.link && !this.any);
    output.err("tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n");
    const type = this.any ? "LINUX_SLL2 (Linux cooked v2)" : "EN10MB (Ethernet)";
    output.err(`listening on ${name}, link-type ${type}, ${SNAPSHOT}\n`);
    capture.listeners.add(this.listener);
  }

  private hear(frame: CapturedFrame): void {
    const { direction, bytes, type, time } = frame;
    const device = this.places.get(frame.place);
    // What leaves by lo comes in by lo as well: tcpdump shows it once.
    if (device === undefined || (device === "lo" && direction === "out")) return;
    if (this.options.direction !== "inout" && this.options.direction !== direction) return;
    if (!this.filter(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength))) return;
    this.captured++;
    const when = this.options.timeless ? "" : `${clock(time)} `;
    const way = (direction === "out" ? "Out" : DIRECTIONS[type]!).padEnd(3);
    this.output.out(`${when}${this.any ? `${device.padEnd(5)} ${way} ` : ""}${this.printer.print(bytes)}\n`);
    if (this.captured === this.options.count) this.finish();
  }

  /** Ctrl-C. */
  interrupt(): void {
    if (this.status !== null) return;
    this.output.err("\n");
    this.finish();
  }

  private finish(): void {
    this.status = 0;
    this.capture.listeners.delete(this.listener);
    const packets = this.captured === 1 ? "packet" : "packets";
    this.output.err(`${this.captured} ${packets} captured\n${this.captured} ${packets} received by filter\n`);
    this.output.err("0 packets dropped by kernel\n");
  }
}

/** `HH:MM:SS.ffffff` of the virtual clock. */
function clock(nanoseconds: number): string {
  const micro = Math.floor(nanoseconds / 1000);
  const seconds = Math.floor(micro / 1e6);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(":");
  return `${day}.${String(micro % 1e6).padStart(6, "0")}`;
}

const hostsOf = ({ files }: Host): string => files.get("/etc/hosts") ?? "127.0.0.1\tlocalhost\n";

const namesOf = (host: Host): FilterNames => ({
  address: (name) => lookUpHosts(hostsOf(host), name)[0] ?? null,
  port: servicePort,
});

/** Unlike tcpdump, it asks no DNS server: what it prints would change what passes. */
const shownNames = (host: Host): TcpdumpNames => ({
  host: (address) => reverseHosts(hostsOf(host), address) ?? formatIpv4(address),
  port: (port, protocol) => serviceName(port, protocol),
});
