import type { Packet } from "../../../packet/packet.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { TargetKind } from "../extension.ts";
import type { RuleContext, Target, Verdict } from "../rule.ts";
import { printToPorts } from "./masquerade.ts";
import { flagOptions, makeRange, needPortProtocol, type PrintedRange, readPorts } from "./nat-range.ts";

const LOOPBACK = 0x7f000001;

/** `nf_nat_redirect_ipv4()`. */
class RedirectTarget implements Target {
  readonly name = "REDIRECT";

  constructor(private readonly to: PrintedRange) {}

  apply(packet: Packet, context: RuleContext): Verdict {
    const address = context.hook === "output" ? LOOPBACK : context.net.primaryAddress(context.in!);
    if (address === 0) return "DROP";
    const range = { ...this.to.range, addresses: { min: address, max: address } };
    return context.net.nat.setup(packet, packet.connection as Connection, range, "destination");
  }

  print(): string {
    return `${printToPorts(this.to.range.ports)}${this.to.flags}`.trimStart();
  }
}

export const redirectKind: TargetKind = {
  name: "REDIRECT",
  tables: ["nat"],
  hooks: ["prerouting", "output"],
  options: [{ name: "to-ports" }, ...flagOptions("random")],
  parse(options, scope) {
    const token = options.value("to-ports");
    if (token !== null) needPortProtocol(token, scope);
    return new RedirectTarget(makeRange(options, null, token === null ? null : readPorts(token)));
  },
};
