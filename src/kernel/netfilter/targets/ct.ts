import type { Packet } from "../../../packet/packet.ts";
import type { Options, RuleScope, TargetKind } from "../extension.ts";
import type { Target, TargetVerdict } from "../rule.ts";
import { splitList, type Token, unexpected } from "../tokenizer.ts";
import { readInteger } from "../value.ts";

const EVENTS = "new related destroy reply assured protoinfo helper mark natseqinfo secmark label".split(" ");
const EXPECTATION_EVENTS = ["new"];
const HELPERS = "amanda ftp H.245 irc netbios-ns pptp Q.931 RAS sane sip snmp tftp".split(" ");
const LAST_ZONE = 0xffff;

/** `xt_ct_target()` and `notrack_tg()` of xt_CT.c. */
class CtTarget implements Target {
  constructor(
    readonly name: "CT" | "NOTRACK",
    private readonly notrack: boolean,
    private readonly text: string,
  ) {}

  get needsConntrack(): boolean {
    return !this.notrack;
  }

  apply(packet: Packet): TargetVerdict {
    if (this.notrack && packet.connection === null) packet.connectionState = "UNTRACKED";
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

/** `5` or `mark`, the packet's mark; an empty string for zone 0, which is where everything is. */
function readZone(options: Options, token: Token): string {
  if (token.text === "mark") options.refuse(token, "zone 0; hopscope does not model other conntrack zones yet");
  else if (readInteger(token, 0, LAST_ZONE, "a zone") === 0) return "";
  else options.refuse(token, "zone 0; hopscope does not model other conntrack zones yet");
  return token.text === "mark" ? "mark" : `${Number(token.text)}`;
}

function readHelper(options: Options, scope: RuleScope, token: Token): string {
  if ((scope.protocol === 0 || scope.notProtocol) && !options.has("notrack"))
    throw unexpected(options.token, "-p in a rule with CT --helper");
  if (!HELPERS.includes(token.text)) throw unexpected(token, `a helper (${HELPERS.join(", ")})`);
  return token.text;
}

function printAll(options: Options, scope: RuleScope): string {
  const words = options.has("notrack") ? ["--notrack"] : [];
  const helper = options.value("helper");
  if (helper !== null) words.push(`--helper ${readHelper(options, scope, helper)}`);
  const timeout = options.value("timeout");
  if (timeout !== null) words.push(`--timeout ${timeout.text}`);
  const events = options.value("ctevents");
  if (events !== null) words.push(`--ctevents ${readEvents(events, EVENTS)}`);
  const expectations = options.value("expevents");
  if (expectations !== null) words.push(`--expevents ${readEvents(expectations, EXPECTATION_EVENTS)}`);
  for (const name of ["zone-orig", "zone-reply", "zone"]) {
    const token = options.value(name);
    const zone = token === null ? "" : readZone(options, token);
    if (zone === "") continue;
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
    { name: "helper", printable: true },
    { name: "timeout", printable: true },
    { name: "ctevents", printable: true },
    { name: "expevents", printable: true },
    { name: "zone-orig" },
    { name: "zone-reply" },
  ],
  parse: (options, scope) => new CtTarget("CT", options.has("notrack"), printAll(options, scope)),
};

export const notrackKind: TargetKind = {
  name: "NOTRACK",
  tables: ["raw"],
  hooks: ["prerouting", "output"],
  options: [],
  parse: () => new CtTarget("NOTRACK", true, ""),
};
