import type { Packet } from "../../../packet/packet.ts";
import { Connection } from "../../conntrack/connection.ts";
import { FtpHelper } from "../../conntrack/ftp.ts";
import type { Options, RuleScope, TargetKind } from "../extension.ts";
import type { Target, TargetVerdict } from "../rule.ts";
import { kernelRefuses, splitList, type Token, unexpected } from "../tokenizer.ts";
import { parseInteger } from "../value.ts";

const EVENTS = "new related destroy reply assured protoinfo helper mark natseqinfo secmark label".split(" ");
const EXPECTATION_EVENTS = ["new"];
const HELPERS = "amanda ftp H.245 irc netbios-ns pptp Q.931 RAS sane sip snmp tftp".split(" ");
const MODELLED_HELPER = "ftp";
const LAST_ZONE = 0xffff;
/** Bit 0 for the original direction, bit 1 for the reply. */
const DIRECTIONS = [
  ["zone-orig", 1],
  ["zone-reply", 2],
  ["zone", 3],
] as const;

/** `xt_ct_target()` of xt_CT.c. */
class CtTarget implements Target {
  constructor(
    readonly name: "CT" | "NOTRACK",
    /** Null takes packets out of tracking. */
    private readonly template: Connection | null,
    private readonly text: string,
  ) {}

  get needsConntrack(): boolean {
    return this.template !== null;
  }

  apply(packet: Packet): TargetVerdict {
    if (packet.connection !== null || packet.connectionState === "UNTRACKED" || packet.attached) return "CONTINUE";
    packet.connection = this.template;
    packet.connectionState = this.template === null ? "UNTRACKED" : "NEW";
    return "CONTINUE";
  }

  print(): string {
    return this.text;
  }
}

/** The words in the order of `known`. */
function readEvents(token: Token, known: readonly string[]): string {
  const items = splitList(token);
  for (const item of items) if (!known.includes(item.text)) throw unexpected(item, `one of ${known.join(", ")}`);
  return known.filter((event) => items.some((item) => item.text === event)).join(",");
}

/** `5`, or `mark` for the packet's mark; null for zone 0, where everything is. */
function readZone(token: Token): number | "mark" | null {
  if (token.text === "mark") return "mark";
  const zone = parseInteger(token.text);
  if (zone >= 0 && zone <= LAST_ZONE) return zone === 0 ? null : zone;
  throw unexpected(token, `a zone (0-${LAST_ZONE}, or mark)`, `Cannot parse ${token.text} as a zone ID`);
}

/** `xt_ct_tg_check()`: what the rule says of new connections. */
function makeTemplate(options: Options): Connection {
  const template = new Connection(0, 0);
  template.template = true;
  for (const [name, directions] of DIRECTIONS) {
    const token = options.value(name);
    const zone = token === null ? null : readZone(token);
    if (zone === null) continue;
    const fromMark = zone === "mark";
    template.zone = { id: fromMark ? 0 : zone, directions, fromMark };
    break;
  }
  if (options.value("helper")?.text === MODELLED_HELPER) template.helper = new FtpHelper();
  const events = options.value("ctevents");
  if (events !== null)
    template.events = readEvents(events, EVENTS)
      .split(",")
      .reduce((bits, name) => bits | (1 << EVENTS.indexOf(name)), 0);
  return template;
}

function readHelper(options: Options, scope: RuleScope, token: Token): string {
  if ((scope.protocol === 0 || scope.notProtocol) && !options.has("notrack"))
    throw unexpected(options.token, "-p in a rule with CT --helper");
  if (HELPERS.includes(token.text) && token.text !== MODELLED_HELPER)
    options.note(options.get("helper")!.token, "--helper of CT: no connection is expected because of another");
  if (!HELPERS.includes(token.text)) throw unexpected(token, `a helper (${HELPERS.join(", ")})`);
  return token.text;
}

function printAll(options: Options, scope: RuleScope): string {
  const words = options.has("notrack") ? ["--notrack"] : [];
  const helper = options.value("helper");
  if (helper !== null) words.push(`--helper ${readHelper(options, scope, helper)}`);
  const events = options.value("ctevents");
  if (events !== null) words.push(`--ctevents ${readEvents(events, EVENTS)}`);
  const expectations = options.value("expevents");
  if (expectations !== null) words.push(`--expevents ${readEvents(expectations, EXPECTATION_EVENTS)}`);
  for (const [name] of DIRECTIONS) {
    const token = options.value(name);
    const zone = token === null ? null : readZone(token);
    if (zone === null) continue;
    words.push(`--${name} ${zone}`);
    break;
  }
  return words.join(" ");
}

export const ctKind: TargetKind = {
  name: "CT",
  tables: ["raw"],
  hooks: ["prerouting", "output"],
  options: [
    { name: "notrack", values: 0 },
    { name: "zone" },
    { name: "helper" },
    { name: "timeout" },
    { name: "ctevents" },
    { name: "expevents" },
    { name: "zone-orig" },
    { name: "zone-reply" },
  ],
  parse(options, scope) {
    // Policies are nfct's, which nobody runs here (`xt_ct_set_timeout()`).
    const timeout = options.value("timeout");
    if (timeout !== null)
      throw unexpected(
        timeout,
        "a timeout policy that nfct has made; here are none",
        kernelRefuses(timeout, scope.chain, "No such file or directory"),
      );
    return new CtTarget("CT", options.has("notrack") ? null : makeTemplate(options), printAll(options, scope));
  },
};

export const notrackKind: TargetKind = {
  name: "NOTRACK",
  tables: ["raw"],
  hooks: ["prerouting", "output"],
  options: [],
  parse: () => new CtTarget("NOTRACK", null, ""),
};
