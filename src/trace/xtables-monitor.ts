import { Headers } from "./headers.ts";
import { tcpFlagNames } from "./packet-title.ts";
import type { PacketTrace, StepOf, Trace } from "./trace.ts";

export interface XtablesOptions {
  /** Only this namespace; all where absent. */
  readonly namespace?: string;
  /** Only packets that a TRACE rule has marked, and from there on, as the kernel does it. */
  readonly marked?: boolean;
}

/** How the kernel's monitor prints a verdict that it has no word for: `NFT_RETURN`, -5. */
const RETURN = "0xfffffffb";

/**
 * The text of `xtables-monitor --trace`: for each base chain that looks at a packet the packet as it is there, then what
 * every rule that matches says, then the policy. Packets stand in the order of birth.
 *
 * Unlike Linux, no TRACE rule is needed; the id is that of the packet in the trace, the same in every hook; and the
 * number behind `rule:` is the rule's place in its chain, where the kernel has a handle. IPv4 options are not told.
 */
export function formatXtables(trace: Trace, options: XtablesOptions = {}): string {
  return trace.packets.flatMap((packet) => new Monitor(packet, options).lines).join("");
}

class Monitor {
  readonly lines: string[] = [];
  private readonly headers = new Headers();
  private readonly id: string;
  /** Where the packet came in last; null for one that was made here. */
  private arrival: string | null = null;
  private hook: StepOf<"hook"> | null = null;
  /** The table whose packet line stands already. */
  private table = "";
  private marked = false;

  constructor(
    packet: PacketTrace,
    private readonly options: XtablesOptions,
  ) {
    this.id = packet.id.toString(16).padStart(8, "0");
    for (const hop of packet.hops) {
      const wanted = options.namespace === undefined || options.namespace === hop.namespace;
      this.marked = false;
      for (const step of hop.steps) {
        this.headers.apply(step);
        if (step.kind === "rx") this.arrival = step.where?.device ?? null;
        else if (step.kind === "hook") this.enter(step);
        else if (wanted && step.kind === "rule") this.rule(step);
        else if (wanted && step.kind === "policy") this.policy(step);
      }
    }
  }

  private enter(step: StepOf<"hook">): void {
    if (step.family !== "ip") return;
    this.hook = step;
    this.table = "";
  }

  private rule({ rule, verdict, to }: StepOf<"rule">): void {
    if (rule === null) return;
    if (/(^| )-j TRACE( |$)/.test(rule.text)) this.marked = true;
    const jump = verdict === "jump" || verdict === "goto" ? `:${to?.chain ?? ""}` : "";
    const word = verdict === "return" ? RETURN : verdict.toUpperCase() + jump;
    const text = `-4 -t ${rule.table} -A ${rule.chain} ${rule.text}`;
    this.trace(rule.table, `${rule.chain}:rule:0x${rule.number.toString(16)}:${word}  ${text.trimEnd()}`);
  }

  private policy({ chain, verdict }: StepOf<"policy">): void {
    if (chain !== null) this.trace(chain.table, `${chain.chain}:policy:${verdict.toUpperCase()} `);
  }

  private trace(table: string, text: string): void {
    if (this.options.marked === true && !this.marked) return;
    if (table !== this.table) this.lines.push(`PACKET: 2 ${this.id} ${this.packetText()}\n`);
    this.table = table;
    this.lines.push(` TRACE: 2 ${this.id} ${table}:${text}\n`);
  }

  private packetText(): string {
    const { headers, hook } = this;
    const { ipv4, transport, mark } = headers;
    const words: string[] = [];
    if (hook?.in != null) words.push(`IN=${hook.in}`);
    if (hook?.out != null) words.push(`OUT=${hook.out}`);
    words.push(...this.linkWords());
    if (ipv4 !== null) {
      words.push(`SRC=${ipv4.source}`, `DST=${ipv4.destination}`, `LEN=${ipv4.length}`);
      words.push(`TOS=0x${ipv4.tos.toString(16)}`, `TTL=${ipv4.ttl}`, `ID=${ipv4.identification}`);
      if (ipv4.dontFragment) words.push("DF");
      if (ipv4.moreFragments) words.push("MF");
      if (ipv4.fragmentUnits !== 0) words.push(`FRAG:${ipv4.fragmentUnits}`);
    }
    if (headers.hasPorts) words.push(`SPORT=${headers.sourcePort}`, `DPORT=${headers.destinationPort}`);
    if (ipv4?.protocol === 6 && transport !== null) words.push(...tcpFlagNames(transport.flags));
    if (mark !== 0) words.push(`MARK=0x${mark.toString(16)}`);
    return `${words.join(" ")} `;
  }

  /** The Ethernet header that the packet came with. Where no device is named that it came in by, its bytes are told raw. */
  private linkWords(): string[] {
    const { ethernet } = this.headers;
    if (this.arrival === null || ethernet === null) return [];
    if (this.arrival === "lo") return ["LOOPBACK"];
    if (this.hook?.in == null) return ["LL=0x0", rawBytes(ethernet.destination, ethernet.source, ethernet.type)];
    const protocol = ethernet.type.toString(16).padStart(4, "0");
    return [`MACSRC=${short(ethernet.source)}`, `MACDST=${short(ethernet.destination)}`, `MACPROTO=${protocol}`];
  }
}

/** `ether_ntoa()` prints no leading zeros. */
const short = (mac: string): string => mac.replace(/\b0([0-9a-f])/g, "$1");

/** As the monitor prints them: a byte above 0x7f as the negative number that a C `char` makes of it. */
function rawBytes(destination: string, source: string, type: number): string {
  const bytes = [...destination.split(":"), ...source.split(":")].map((byte) => Number.parseInt(byte, 16));
  return [...bytes, type >> 8, type & 255]
    .map((byte) => (byte > 0x7f ? `ffffff${byte.toString(16)}` : byte.toString(16).padStart(2, "0")))
    .join("");
}
