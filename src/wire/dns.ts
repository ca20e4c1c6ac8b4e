/// <reference path="./dns-packet.d.ts" />
import { Buffer } from "buffer/index.js";
import { decode, record, type Section } from "dns-packet";
import { toType } from "dns-packet/types.js";

/** Response codes, in the order of their numbers (RFC 1035 section 4.1.1). */
const RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"] as const;
export type DnsRcode = (typeof RCODES)[number];

/** The types whose data is one text: an address or a name. */
const TEXT_TYPES = ["A", "AAAA", "CNAME", "NS", "PTR"] as const;
export type DnsTextType = (typeof TEXT_TYPES)[number];

export interface DnsQuestion {
  /** Without the dot at its end; `.` is the root. */
  readonly name: string;
  /** `A`, `AAAA`, `PTR`, ... as `dig -t` takes it. */
  readonly type: string;
}

export interface DnsRecord extends DnsQuestion {
  /** Seconds. */
  readonly ttl: number;
  /** An address or a name; empty for a record of another type. */
  readonly data: string;
}

export interface DnsMessage {
  readonly id: number;
  readonly response: boolean;
  readonly rcode: DnsRcode;
  readonly authoritative?: boolean;
  /** There was more than fits: ask by TCP. */
  readonly truncated?: boolean;
  readonly recursionDesired?: boolean;
  readonly recursionAvailable?: boolean;
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
}

export const DNS_PORT = 53;
/** The longest message over UDP (RFC 1035 section 4.2.1). */
export const DNS_DATAGRAM = 512;
const HEADER = 12;
const MOST_LABEL = 63;
const MOST_NAME = 253;

/** True for what can stand in a message: labels of 1 to 63 bytes, 253 in all. */
export const isDomainName = (name: string): boolean =>
  name.length <= MOST_NAME &&
  name.split(".").every((label) => label.length > 0 && label.length <= MOST_LABEL && /^[\x21-\x7e]+$/.test(label));

/** A message (RFC 1035 section 4), or null for bytes that are none. */
export function parseDns(bytes: Uint8Array): DnsMessage | null {
  try {
    const packet = decode(Buffer.from(bytes));
    return {
      id: packet.id!,
      response: packet.type === "response",
      rcode: RCODES.find((rcode) => rcode === packet.rcode) ?? "SERVFAIL",
      authoritative: packet.flag_aa!,
      truncated: packet.flag_tc!,
      recursionDesired: packet.flag_rd!,
      recursionAvailable: packet.flag_ra!,
      questions: packet.questions!.map(({ name, type }) => ({ name, type })),
      answers: packet.answers!.map(toRecord),
    };
  } catch {
    return null;
  }
}

const toRecord = ({ name, type, ttl = 0, data }: Section): DnsRecord => ({
  name,
  type,
  ttl,
  data: typeof data === "string" ? data : "",
});

export interface DnsFormat {
  /** The longest that it may be, bytes. */
  readonly limit?: number;
  /** Names point at where they stood before, as BIND has it; else each is written out, as Docker has it. */
  readonly compressed?: boolean;
}

/**
 * The bytes of a message. Answers that would make it longer than `limit` bytes are left out, and it says so.
 * Only records of {@link DnsTextType} can be written. @throws {RangeError} for another.
 */
export function formatDns(message: DnsMessage, { limit = 65_535, compressed = true }: DnsFormat = {}): Uint8Array {
  const whole = write(message, message.truncated === true, compressed);
  if (whole.length <= limit) return whole;
  return write({ ...message, answers: [] }, true, compressed);
}

function write(message: DnsMessage, truncated: boolean, compressed: boolean): Uint8Array {
  const { id, response, rcode, questions, answers } = message;
  const flags =
    (response ? 0x8000 : 0) |
    (message.authoritative === true ? 0x400 : 0) |
    (truncated ? 0x200 : 0) |
    (message.recursionDesired === true ? 0x100 : 0) |
    (message.recursionAvailable === true ? 0x80 : 0) |
    RCODES.indexOf(rcode);
  const writer = new Writer(compressed);
  for (const word of [id, flags, questions.length, answers.length, 0, 0]) writer.word(word);
  for (const { name, type } of questions) {
    writer.name(name);
    writer.type(type);
  }
  for (const answer of answers) writer.record(answer);
  return Uint8Array.from(writer.bytes);
}

const CLASS_IN = 1;
const POINTER = 0xc000;

/** Bytes of a message, and where each name in them stands (RFC 1035 section 4.1.4). */
class Writer {
  readonly bytes: number[] = [];
  private readonly names = new Map<string, number>();

  constructor(private readonly compressed: boolean) {}

  word(value: number): void {
    this.bytes.push((value >>> 8) & 255, value & 255);
  }

  /** A type and the class IN. */
  type(type: string): void {
    this.word(toType(type));
    this.word(CLASS_IN);
  }

  name(name: string): void {
    const labels = name.split(".").filter((label) => label !== "");
    for (const [i, label] of labels.entries()) {
      const rest = labels.slice(i).join(".").toLowerCase();
      const before = this.names.get(rest);
      if (before !== undefined) {
        this.word(POINTER | before);
        return;
      }
      if (this.compressed && this.bytes.length < POINTER >> 2) this.names.set(rest, this.bytes.length);
      const bytes = Buffer.from(label).subarray(0, MOST_LABEL);
      this.bytes.push(bytes.length, ...bytes);
    }
    this.bytes.push(0);
  }

  record({ name, type, ttl, data }: DnsRecord): void {
    if (!(TEXT_TYPES as readonly string[]).includes(type)) throw new RangeError(`hopscope writes no ${type} records`);
    this.name(name);
    this.type(type);
    this.word(ttl >>> 16);
    this.word(ttl);
    if (type === "A" || type === "AAAA") {
      this.bytes.push(...record(type).encode(data));
      return;
    }
    const length = this.bytes.length;
    this.word(0);
    this.name(data);
    const written = this.bytes.length - length - 2;
    this.bytes[length] = written >>> 8;
    this.bytes[length + 1] = written & 255;
  }
}

/** The message with another identifier: what a forwarder does to it, whatever it carries. Null for no message. */
export function withDnsId(bytes: Uint8Array, id: number): Uint8Array | null {
  if (bytes.length < HEADER) return null;
  const copy = bytes.slice();
  copy[0] = id >>> 8;
  copy[1] = id & 255;
  return copy;
}

/** The name under which an address is looked up (RFC 1035 section 3.5): `4.3.2.1.in-addr.arpa`. */
export const reverseName = (address: number): string =>
  `${address & 255}.${(address >>> 8) & 255}.${(address >>> 16) & 255}.${address >>> 24}.in-addr.arpa`;
