import { NETWORK, type Packet } from "../../packet/packet.ts";
import { formatIpv4 } from "../../wire/address.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as tcp from "../../wire/tcp.ts";
import { pull } from "../fragment.ts";
import type { Namespace } from "../namespace.ts";
import type { Connection } from "./connection.ts";
import type { Expectation } from "./expectation.ts";
import { shiftSequence } from "./sequence-adjust.ts";

/** `nf_conntrack_ftp` and `nf_nat_ftp`: data connections that an FTP control connection announces. */

const LIFE = 300e9;
const MOST_EXPECTED = 1;
/** `NUM_SEQ_TO_REMEMBER`. */
const LINES = 2;
const ATTEMPTS = 128;
const LF = 10;

/** What conntrack remembers of a control connection (`struct nf_ct_ftp_master`): where lines begin, by direction. */
export class FtpHelper {
  readonly name = "ftp";
  readonly lineStarts: readonly [number[], number[]] = [[], []];
}

/** Where a command names an address and a port. */
interface Announced {
  /** In the payload. */
  at: number;
  length: number;
  address: number;
  port: number;
}

interface Command {
  readonly word: string;
  /** What stands before the numbers; empty for nothing. */
  readonly skip: string;
  /** Null for numbers that cannot be read. */
  read(text: string, address: number): Announced | null;
  format(address: number, port: number): string;
}

/** `h1,h2,h3,h4,p1,p2`, ended by `end`, or by anything where that is empty. */
function readSix(text: string, end: string): Announced | null {
  const match = /^(\d*),(\d*),(\d*),(\d*),(\d*),(\d*)(?=[^0-9,])/.exec(text);
  if (match === null || (end !== "" && text[match[0].length] !== end)) return null;
  const [a, b, c, d, high, low] = match.slice(1).map(Number) as [number, number, number, number, number, number];
  const address = (a << 24) | (b << 16) | (c << 8) | d;
  return { at: 0, length: match[0].length, address, port: ((high << 8) | low) & 0xffff };
}

const formatSix = (address: number, port: number): string =>
  [...formatIpv4(address).split("."), port >> 8, port & 255].join(",");

const isDelimiter = (letter: string | undefined): letter is string =>
  letter !== undefined && /[!-~]/.test(letter) && !/\d/.test(letter);

/** Digits up to the delimiter, which is not zero; how many letters with it. */
function readPort(text: string, delimiter: string): { port: number; length: number } | null {
  const [digits = ""] = /^\d*/.exec(text)!;
  const port = Number(digits) & 0xffff;
  return text[digits.length] === delimiter && port !== 0 ? { port, length: digits.length + 1 } : null;
}

/** By direction. RFC 959, RFC 1123 section 4.1.2.6 and RFC 2428. */
const COMMANDS: readonly [readonly Command[], readonly Command[]] = [
  [
    { word: "PORT", skip: " ", read: (text) => readSix(text, "\r"), format: formatSix },
    {
      word: "EPRT",
      skip: " ",
      read(text) {
        const delimiter = text[0];
        if (text.length <= 3 || !isDelimiter(delimiter) || text[1] !== "1" || text[2] !== delimiter) return null;
        const match = /^(\d*)\.(\d*)\.(\d*)\.(\d*)(?=[^0-9.])/.exec(text.slice(3));
        const port = match === null ? null : readPort(text.slice(4 + match[0].length), delimiter);
        if (match === null || port === null || text[3 + match[0].length] !== delimiter) return null;
        const [a, b, c, d] = match.slice(1).map(Number) as [number, number, number, number];
        const address = (a << 24) | (b << 16) | (c << 8) | d;
        return { at: 0, length: 4 + match[0].length + port.length, address, port: port.port };
      },
      format: (address, port) => `|1|${formatIpv4(address)}|${port}|`,
    },
  ],
  [
    {
      word: "227 ",
      skip: "",
      read(text) {
        const first = text.search(/\d/);
        const found = first < 0 ? null : readSix(text.slice(first), "");
        return found === null ? null : { ...found, at: first };
      },
      format: formatSix,
    },
    {
      word: "229 ",
      skip: "(",
      read(text, address) {
        const delimiter = text[0];
        if (text.length <= 3 || !isDelimiter(delimiter) || text[1] !== delimiter || text[2] !== delimiter) return null;
        const port = readPort(text.slice(3), delimiter);
        return port === null ? null : { at: 0, length: 3 + port.length, address, port: port.port };
      },
      format: (_, port) => `|||${port}|`,
    },
  ],
];

/** `find_pattern()`: null for another command, "partial" for one that is cut off or cannot be read. */
function find(text: string, command: Command, address: number): Announced | "partial" | null {
  const { word, skip } = command;
  if (text.length <= word.length) return word.toLowerCase().startsWith(text.toLowerCase()) ? "partial" : null;
  if (text.slice(0, word.length).toLowerCase() !== word.toLowerCase()) return null;
  let at = word.length;
  if (skip !== "") {
    at = text.indexOf(skip, at) + 1;
    if (at === 0 || at >= text.length + 1) return "partial";
  }
  const found = command.read(text.slice(at), address);
  if (found === null) return "partial";
  found.at += at;
  return found;
}

/** `help()`: DROP for a command that cannot be followed. */
export function helpFtp(packet: Packet, connection: Connection, net: Namespace): "ACCEPT" | "DROP" {
  const state = packet.connectionState;
  if (state !== "ESTABLISHED" && state !== "ESTABLISHED_REPLY") return "ACCEPT";
  const direction = state === "ESTABLISHED" ? 0 : 1;
  const { view, bytes, end } = packet;
  const at = NETWORK + ipv4.headerLength(view, NETWORK);
  if (end - at < tcp.TCP_HEADER) return "ACCEPT";
  const data = at + tcp.headerLength(view, at);
  if (data >= end) return "ACCEPT";
  const starts = connection.helper!.lineStarts[direction];
  const sequence = tcp.sequenceNumber(view, at);
  const behind = (sequence + end - data) | 0;
  const endsLine = bytes[end - 1] === LF;
  let verdict: "ACCEPT" | "DROP" = "ACCEPT";
  if (starts.includes(sequence)) {
    const own = direction === 0 ? connection.original : connection.reply;
    const text = String.fromCharCode(...bytes.subarray(data, end));
    for (const command of COMMANDS[direction]) {
      const found = find(text, command, own.source);
      if (found === null) continue;
      if (found === "partial") return "DROP";
      verdict = announce(packet, connection, direction, command, found, net);
      break;
    }
  }
  if (endsLine) noteLine(starts, behind);
  return verdict;
}

/** `update_nl_seq()`. */
function noteLine(starts: number[], sequence: number): void {
  if (starts.includes(sequence)) return;
  if (starts.length < LINES) {
    starts.push(sequence);
    return;
  }
  const oldest = ((starts[0]! - starts[1]!) | 0) < 0 ? 0 : 1;
  if (((sequence - starts[oldest]!) | 0) > 0) starts[oldest] = sequence;
}

function announce(
  packet: Packet,
  connection: Connection,
  direction: 0 | 1,
  command: Command,
  found: Announced,
  net: Namespace,
): "ACCEPT" | "DROP" {
  const own = direction === 0 ? connection.original : connection.reply;
  const other = direction === 0 ? connection.reply : connection.original;
  // Nobody may open a way to someone else.
  if (found.address !== own.source) return "ACCEPT";
  const mapped = connection.sourceNat || connection.destinationNat;
  const { now } = net.fabric.scheduler;
  const opposite = direction === 0 ? 1 : 0;
  const expectation: Expectation = {
    master: connection,
    source: other.source,
    destination: other.destination,
    protocol: ipv4.PROTOCOL_TCP,
    port: found.port,
    expires: now + LIFE,
    follow: mapped ? { direction: opposite, port: found.port } : null,
  };
  const { expectations } = net.tracker;
  // `nf_nat_exp_find_port()`
  const range = 0xffff - found.port;
  for (let left = mapped ? Math.min(range, ATTEMPTS) : 0; !expectations.add(expectation, MOST_EXPECTED, now); left--) {
    if (left <= 0) return "DROP";
    expectation.port = found.port + net.random.below(range);
  }
  if (!mapped) return "ACCEPT";
  return mangle(packet, connection, direction, found, command.format(other.destination, expectation.port));
}

/** `nf_nat_mangle_tcp_packet()`: other words in the payload, and all lengths and checksums with them. */
function mangle(
  packet: Packet,
  connection: Connection,
  direction: 0 | 1,
  { at: offset, length }: Announced,
  words: string,
): "ACCEPT" | "DROP" {
  const { view, bytes } = packet;
  const grown = words.length - length;
  if (packet.end + grown > packet.capacity) return "DROP";
  pull(packet, packet.end);
  packet.shown = null;
  const at = NETWORK + ipv4.headerLength(view, NETWORK);
  const place = at + tcp.headerLength(view, at) + offset;
  bytes.copyWithin(place + words.length, place + length, packet.end);
  for (let i = 0; i < words.length; i++) bytes[place + i] = words.charCodeAt(i);
  packet.end += grown;
  view.setUint16(NETWORK + 2, packet.end - NETWORK);
  ipv4.setChecksum(view, NETWORK);
  tcp.setChecksum(view, at, packet.end - at, ipv4.source(view, NETWORK), ipv4.destination(view, NETWORK));
  shiftSequence(connection, direction, tcp.sequenceNumber(view, at), grown);
  return "ACCEPT";
}
