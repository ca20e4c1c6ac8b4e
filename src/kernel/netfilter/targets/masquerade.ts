import type { Packet } from "../../../packet/packet.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { TargetKind } from "../extension.ts";
import type { PortRange } from "../port.ts";
import type { RuleContext, Target, Verdict } from "../rule.ts";
import { flagOptions, formatPorts, makeRange, needPortProtocol, type PrintedRange, readPorts } from "./nat-range.ts";

/** `nf_nat_masquerade_ipv4()`. */
class MasqueradeTarget implements Target {
  readonly name = "MASQUERADE";

  constructor(private readonly to: PrintedRange) {}

  apply(packet: Packet, context: RuleContext): Verdict {
    const connection = packet.connection as Connection;
    if (connection.original.source === 0) return "ACCEPT";
    const address = context.net.masqueradeAddress(packet, context.out!);
    if (address === 0) return "DROP";
    connection.masqueradeDevice = context.out!.index;
    const range = { ...this.to.range, addresses: { min: address, max: address } };
    return context.net.nat.setup(packet, connection, range, "source");
  }

  print(): string {
    return `${printToPorts(this.to.range.ports)}${this.to.flags}`.trimStart();
  }
}

export const printToPorts = (ports: PortRange | null): string =>
  ports === null ? "" : `--to-ports ${formatPorts(ports)}`;

export const masqueradeKind: TargetKind = {
  name: "MASQUERADE",
  tables: ["nat"],
  hooks: ["postrouting"],
  options: [{ name: "to-ports" }, ...flagOptions("random", "random-fully")],
  parse(options, scope) {
    const token = options.value("to-ports");
    if (token !== null) needPortProtocol(token, scope);
    return new MasqueradeTarget(makeRange(options, null, token === null ? null : readPorts(token)));
  },
};
