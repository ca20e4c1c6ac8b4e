import { Random } from "../../src/sim/random.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { Connection, type ConnectionOptions, type ConnectionOwner } from "../../src/tcp/connection.ts";
import type { Fate } from "../../src/tcp/fate.ts";
import { OutgoingSegment } from "../../src/tcp/outgoing.ts";
import { Segment, type SegmentOptions } from "../../src/tcp/segment.ts";
import { SendQueue } from "../../src/tcp/send-queue.ts";
import * as tcp from "../../src/wire/tcp.ts";

/**
 * A small language of what one side of a connection sends and must send, a line each:
 *
 *   < SYN seq 0 mss 1460          a segment arrives; numbers count from the first one of each side
 *   > SYN ACK seq 0 ack 1         the next segment that leaves; what is not named is not looked at
 *   > ACK seq 1 again 3           the same three times
 *   > nothing                     nothing has left
 *   +200ms                        time passes (us, ms, s, m)
 *   open, listen                  how the connection begins
 *   write 1000, read 500, close, abort, shutdown, shutdown read
 *   mtu 1400                      the path got narrower
 *   block, unblock                a rule of this host lets nothing out, and lets it out again
 *   state ESTABLISHED, readable 500, error ECONNRESET, fate TCP_OLD_DATA, events established readable
 *
 * A segment: its flags, then names and values: seq, ack, win, length, mss, wscale, sackOK, ts VALUE ECHO, run SIZE for what
 * the device cuts every SIZE bytes, and sack LEFT-RIGHT as often as there are blocks. Behind `#` is a comment.
 */
export function play(script: string, options: Partial<ConnectionOptions> = {}): Player {
  const player = new Player(options);
  for (const [i, line] of script.split("\n").entries()) {
    const text = line.replace(/#.*/, "").trim();
    if (text === "") continue;
    try {
      player.perform(text);
    } catch (error) {
      throw new Error(`line ${i + 1}: ${line.trim()}\n${(error as Error).message}`);
    }
  }
  if (player.sent.length > 0) throw new Error(`at the end: ${player.sent.map(format).join("; ")} left, too`);
  return player;
}

/** What an expectation and a segment that left are compared by. */
type Fields = Record<string, string>;

const UNITS: Readonly<Record<string, number>> = { us: 1e3, ms: 1e6, s: 1e9, m: 60e9 };
const FLAGS: Readonly<Record<string, number>> = {
  FIN: tcp.FIN,
  SYN: tcp.SYN,
  RST: tcp.RST,
  PSH: tcp.PSH,
  ACK: tcp.ACK,
};
const LOCAL_ISS = 0x7fffff00;
const REMOTE_ISS = -1000;

const format = (fields: Fields): string =>
  Object.entries(fields)
    .map(([name, value]) => (name === "flags" ? value : `${name} ${value}`))
    .join(" ");

class Player implements ConnectionOwner {
  readonly scheduler = new Scheduler();
  readonly sent: Fields[] = [];
  readonly events: string[] = [];
  connection: Connection;
  private fate: Fate | null = null;
  private lastError: string | null = null;
  private listening = false;
  private blocked = false;
  private written = 0;
  private readonly random = new Random(1);

  constructor(private readonly options: Partial<ConnectionOptions>) {
    this.connection = this.make();
  }

  private make(): Connection {
    const { scheduler, random } = this;
    const plain = { mtu: 1500, timestamps: false, sack: false, windowScaling: false };
    return new Connection(this, scheduler, random, { ...plain, ...this.options }, LOCAL_ISS);
  }

  perform(text: string): void {
    const [word, ...rest] = text.split(/\s+/) as [string, ...string[]];
    const { connection, scheduler } = this;
    if (word.startsWith("+")) {
      const [, amount, unit] = /^\+([\d.]+)(us|ms|s|m)$/.exec(word) ?? [];
      if (amount === undefined) throw new Error("a time such as +200ms");
      scheduler.run(scheduler.now + Number(amount) * UNITS[unit!]!);
    } else if (word === "<") this.arrive(rest);
    else if (word === ">") this.expect(rest);
    else if (word === "open") connection.open();
    else if (word === "listen") this.listening = true;
    else if (word === "write") this.write(Number(rest[0]));
    else if (word === "read") this.same(connection.read(Number(rest[0])).length, Number(rest[0]));
    else if (word === "close") connection.close();
    else if (word === "abort") connection.abort();
    else if (word === "shutdown") rest[0] === "read" ? connection.shutdownRead() : connection.shutdownWrite();
    else if (word === "block" || word === "unblock") this.blocked = word === "block";
    else if (word === "mtu") connection.reducePathMtu(Number(rest[0]));
    else if (word === "state") this.same(connection.state, rest[0]);
    else if (word === "readable") this.same(connection.readable, Number(rest[0]));
    else if (word === "error") this.same(this.lastError, rest[0]);
    else if (word === "fate") this.same(this.fate, rest[0]);
    else if (word === "events") this.same(this.events.splice(0).join(" "), rest.join(" "));
    else throw new Error("no such line");
  }

  private same(found: unknown, expected: unknown): void {
    if (found !== expected) throw new Error(`found ${String(found)}, expected ${String(expected)}`);
  }

  private write(length: number): void {
    const taken = this.connection.write(Uint8Array.from({ length }, (_, i) => (this.written + i) & 255));
    this.written += taken;
    this.same(taken, length);
  }

  // Segments.

  private arrive(words: readonly string[]): void {
    const fields = parse(words);
    const segment = new OutgoingSegment();
    segment.flags = flagsOf(fields["flags"] ?? "");
    segment.sequence = (REMOTE_ISS + Number(fields["seq"] ?? 0)) | 0;
    segment.acknowledgement = segment.flags & tcp.ACK ? (LOCAL_ISS + Number(fields["ack"] ?? 0)) | 0 : 0;
    segment.window = Number(fields["win"] ?? 65_535);
    segment.length = Number(fields["length"] ?? 0);
    readOptionFields(fields, segment);
    const queue = new SendQueue(segment.sequence);
    queue.data.append(new Uint8Array(segment.length), 0, segment.length);
    segment.data = queue.data;
    const bytes = new Uint8Array(segment.headerLength + segment.length);
    const view = new DataView(bytes.buffer);
    segment.write(bytes, view, 0, 1, 2);
    const read = new Segment();
    read.read(bytes, view, 0, bytes.length);
    if (!this.listening) this.fate = this.connection.receive(read);
    else {
      this.listening = false;
      this.connection.respond(read);
    }
  }

  private expect(words: readonly string[]): void {
    const [times, again] = words.slice(-2).reverse();
    if (again === "again") {
      for (let i = 0; i < Number(times); i++) this.expect(words.slice(0, -2));
      return;
    }
    if (words[0] === "nothing") {
      if (this.sent.length > 0) throw new Error(`${this.sent.map(format).join("; ")} left`);
      return;
    }
    const found = this.sent.shift();
    if (found === undefined) throw new Error("nothing left");
    for (const [name, value] of Object.entries(parse(words)))
      if (found[name] !== value) throw new Error(`found ${format(found)}`);
  }

  // ConnectionOwner.

  send(_connection: Connection, segment: OutgoingSegment): boolean {
    if (this.blocked) return false;
    const { flags } = segment;
    const fields: Fields = {
      flags: Object.keys(FLAGS)
        .filter((name) => flags & FLAGS[name]!)
        .join(" "),
      seq: String((segment.sequence - LOCAL_ISS) | 0),
      length: String(segment.length),
      win: String(segment.window),
    };
    if (segment.segmentSize !== 0) fields["run"] = String(segment.segmentSize);
    if (flags & tcp.ACK) fields["ack"] = String((segment.acknowledgement - REMOTE_ISS) | 0);
    if (segment.mss !== 0) fields["mss"] = String(segment.mss);
    if (segment.windowScale >= 0) fields["wscale"] = String(segment.windowScale);
    if (segment.sackPermitted) fields["sackOK"] = "yes";
    if (segment.timestamps) fields["ts"] = "yes";
    for (let i = 0; i < segment.sackCount; i++) {
      const [left, right] = [segment.sacks[i * 2]!, segment.sacks[i * 2 + 1]!];
      fields[`sack${i}`] = `${(left - REMOTE_ISS) | 0}-${(right - REMOTE_ISS) | 0}`;
    }
    this.sent.push(fields);
    return true;
  }

  admit(): boolean {
    return true;
  }

  established(): void {
    this.events.push("established");
  }

  readable(): void {
    this.events.push("readable");
  }

  writable(): void {
    this.events.push("writable");
  }

  failed(_connection: Connection, error: string): void {
    this.lastError = error;
    this.events.push("failed");
  }

  ended(): void {
    this.events.push("ended");
  }
}

function flagsOf(text: string): number {
  return text.split(" ").reduce((sum, name) => sum | (FLAGS[name] ?? 0), 0);
}

/** The words of a segment by name; flags in the order of the header, blocks by number. */
function parse(words: readonly string[]): Fields {
  const fields: Fields = {};
  const given = new Set<string>();
  let blocks = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word in FLAGS) given.add(word);
    else if (word === "sackOK") fields["sackOK"] = "yes";
    else if (word === "sack") fields[`sack${blocks++}`] = words[++i]!;
    else if (word === "ts") {
      fields["ts"] = "yes";
      if (/^\d+$/.test(words[i + 1] ?? "")) fields["tsval"] = words[++i]!;
    } else if (["seq", "ack", "win", "length", "run", "mss", "wscale"].includes(word)) fields[word] = words[++i]!;
    else throw new Error(`no field ${word}`);
  }
  fields["flags"] = Object.keys(FLAGS)
    .filter((name) => given.has(name))
    .join(" ");
  return fields;
}

function readOptionFields(fields: Fields, options: SegmentOptions): void {
  if (fields["mss"] !== undefined) options.mss = Number(fields["mss"]);
  if (fields["wscale"] !== undefined) options.windowScale = Number(fields["wscale"]);
  options.sackPermitted = fields["sackOK"] !== undefined;
  if (fields["ts"] !== undefined) {
    options.timestamps = true;
    options.timestamp = Number(fields["tsval"] ?? 1);
  }
  for (let i = 0; fields[`sack${i}`] !== undefined; i++) {
    const [left, right] = fields[`sack${i}`]!.split("-").map(Number) as [number, number];
    options.sacks[i * 2] = (LOCAL_ISS + left) | 0;
    options.sacks[i * 2 + 1] = (LOCAL_ISS + right) | 0;
    options.sackCount = i + 1;
  }
}

/** The connection is established: 1460 bytes a segment, windows of 65535 bytes, no options. */
export const CONNECTED = `
  open
  > SYN seq 0 mss 1460
  < SYN ACK seq 0 ack 1 mss 1460
  > ACK seq 1 ack 1
  events established
`;
