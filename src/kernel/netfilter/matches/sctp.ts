import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import * as sctp from "../../../wire/sctp.ts";
import type { Given, MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { part, splitList, type Token, unexpected } from "../tokenizer.ts";
import { printOption } from "../value.ts";
import { type GivenPorts, PORT_OPTIONS, passes, printGivenPorts, readGivenPorts } from "./given-ports.ts";

const SCOPES = ["all", "any", "only"] as const;
/** `all` of the types must be there, `any` of them, or `only` they. */
type Scope = (typeof SCOPES)[number];

/** The letters of a chunk's flags, highest bit first, where it has any. */
const FLAG_LETTERS = { DATA: "----IUBE", I_DATA: "----IUBE", ABORT: "-------T", SHUTDOWN_COMPLETE: "-------T" };
export const CHUNK_TYPES = new Map<string, number>(
  Object.entries({
    DATA: 0,
    INIT: 1,
    INIT_ACK: 2,
    SACK: 3,
    HEARTBEAT: 4,
    HEARTBEAT_ACK: 5,
    ABORT: 6,
    SHUTDOWN: 7,
    SHUTDOWN_ACK: 8,
    ERROR: 9,
    COOKIE_ECHO: 10,
    COOKIE_ACK: 11,
    ECN_ECNE: 12,
    ECN_CWR: 13,
    SHUTDOWN_COMPLETE: 14,
    I_DATA: 64,
    ASCONF_ACK: 128,
    RE_CONFIG: 130,
    PAD: 132,
    FORWARD_TSN: 192,
    ASCONF: 193,
    I_FORWARD_TSN: 194,
  }),
);
const CHUNK_NAMES = [...CHUNK_TYPES.keys()];
const TYPES = 256;

interface Flags {
  mask: number;
  set: number;
}

class ChunkTest {
  readonly wanted = new Uint8Array(TYPES);
  readonly flags = new Map<number, Flags>();
  private readonly missing = new Uint8Array(TYPES);

  constructor(
    readonly scope: Scope,
    readonly not: boolean,
  ) {}

  /** `match_packet()` of xt_sctp.c; null for a packet that is to be dropped. */
  meets(view: DataView, first: number, end: number): boolean | null {
    const { scope, wanted, missing } = this;
    if (scope === "all") missing.set(wanted);
    let chunk = first;
    do {
      if (chunk + sctp.CHUNK_HEADER > end || sctp.chunkLength(view, chunk) === 0) return null;
      const type = sctp.chunkType(view, chunk);
      const hit = wanted[type] === 1 && this.hasFlags(type, sctp.chunkFlags(view, chunk));
      if (scope === "any" && hit) return true;
      if (scope === "only" && !hit) return false;
      if (hit) missing[type] = 0;
      chunk = sctp.nextChunk(view, chunk);
    } while (chunk < end);
    return scope === "only" || (scope === "all" && missing.every((still) => still === 0));
  }

  private hasFlags(type: number, flags: number): boolean {
    const wanted = this.flags.get(type);
    return wanted === undefined || (flags & wanted.mask) === wanted.set;
  }

  print(): string {
    return printOption("chunk-types", `${this.scope} ${this.printTypes()}`, this.not);
  }

  private printTypes(): string {
    if (this.wanted.every((one) => one === 1)) return "ALL";
    const names = CHUNK_NAMES.filter((name) => this.wanted[CHUNK_TYPES.get(name)!] === 1);
    return names.map((name) => `${name}${this.printFlags(name)}`).join(",") || "NONE";
  }

  private printFlags(name: string): string {
    const flags = this.flags.get(CHUNK_TYPES.get(name)!);
    if (flags === undefined) return "";
    const letters = [...FLAG_LETTERS[name as keyof typeof FLAG_LETTERS]].flatMap((letter, i) => {
      const bit = 0x80 >> i;
      return flags.mask & bit ? [flags.set & bit ? letter : letter.toLowerCase()] : [];
    });
    return `:${letters.join("")}`;
  }
}

/** `sctp_mt()` of xt_sctp.c. */
class SctpMatch implements Match {
  readonly name = "sctp";

  constructor(
    private readonly source: GivenPorts | null,
    private readonly destination: GivenPorts | null,
    private readonly chunks: ChunkTest | null,
  ) {}

  matches(packet: Packet, context: RuleContext): boolean {
    const { view, end } = packet;
    if (ipv4.fragmentOffset(view, NETWORK) !== 0) return false;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    if (end - at < sctp.SCTP_HEADER) {
      context.hotdrop = true;
      return false;
    }
    if (!passes(view.getUint16(at), this.source) || !passes(view.getUint16(at + 2), this.destination)) return false;
    if (this.chunks === null) return true;
    const met = this.chunks.meets(view, at + sctp.SCTP_HEADER, end);
    context.hotdrop = met === null;
    return (met ?? false) !== this.chunks.not;
  }

  print(): string {
    const words = [...printGivenPorts("sport", this.source), ...printGivenPorts("dport", this.destination)];
    if (this.chunks !== null) words.push(this.chunks.print());
    return words.join(" ");
  }
}

function readChunks({ values: [scope, list], not }: Given): ChunkTest {
  const word = SCOPES.find((each) => each === scope!.text.toLowerCase());
  if (word === undefined)
    throw unexpected(scope!, "all, any or only", 'Match type has to be one of "ALL", "ANY" or "ONLY"');
  const test = new ChunkTest(word, not);
  if (list!.text.toUpperCase() === "ALL") test.wanted.fill(1);
  else if (list!.text.toUpperCase() !== "NONE")
    for (const item of splitList(list!)) if (item.text !== "") addChunk(test, item);
  return test;
}

/** `DATA` or `DATA:Be`: B must be set, E must not. */
function addChunk(test: ChunkTest, item: Token): void {
  const colon = item.text.indexOf(":");
  const word = colon < 0 ? item : part(item, 0, colon);
  const name = word.text.toUpperCase();
  const type = CHUNK_TYPES.get(name);
  if (type === undefined)
    throw unexpected(word, `an SCTP chunk (${CHUNK_NAMES.join(", ")})`, `Unknown sctp chunk \`${word.text}'`);
  test.wanted[type] = 1;
  if (colon < 0 || colon === item.text.length - 1) return;
  const letters = FLAG_LETTERS[name as keyof typeof FLAG_LETTERS] ?? "";
  const flags = test.flags.get(type) ?? { mask: 0, set: 0 };
  for (const letter of item.text.slice(colon + 1)) {
    const place = letter === "-" ? -1 : letters.indexOf(letter.toUpperCase());
    if (place < 0)
      throw unexpected(
        part(item, colon + 1),
        `flags of ${name}`,
        `Invalid flags for chunk type ${CHUNK_NAMES.indexOf(name)}`,
      );
    flags.mask |= 0x80 >> place;
    if (letter === letter.toUpperCase()) flags.set |= 0x80 >> place;
  }
  // iptables 1.8.9 keeps the flags of I_DATA under a type that no chunk has.
  if (name !== "I_DATA") test.flags.set(type, flags);
}

export const sctpKind: MatchKind = {
  name: "sctp",
  options: [...PORT_OPTIONS, { name: "chunk-types", values: 2, not: true }],
  parse(options, scope) {
    options.needProtocol(scope, [sctp.PROTOCOL_SCTP], "-p sctp in a rule with the match sctp");
    const chunks = options.get("chunk-types");
    return new SctpMatch(
      readGivenPorts(options, "sport", true),
      readGivenPorts(options, "dport", true),
      chunks === null ? null : readChunks(chunks),
    );
  },
};
