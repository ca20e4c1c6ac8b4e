import type { PolicyRule } from "../kernel/fib.ts";
import type { Namespace } from "../kernel/namespace.ts";
import { formatIpv4 } from "../wire/address.ts";
import { tableName } from "./ip-value.ts";
import type { Machine } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import { matching, type Words } from "./words.ts";

/** `ip rule`, of iproute2 6.1. */
export function ipRule(words: Words, { host }: Machine): Printed {
  const command = words.done ? "show" : words.next();
  const known = matching(command, ["list", "lst", "show", "save", "restore", "add", "delete", "flush", "help"]);
  if (known === null) throw new Refusal(`Command "${command}" is unknown, try "ip rule help".`, 255);
  if (known !== "list" && known !== "lst" && known !== "show")
    throw unmodelled(`ip rule ${known}`, "ip rule [show]; a scenario's policy adds rules");
  if (!words.done) throw unmodelled(`ip rule show ${words.peek}`, "ip rule show");
  return printed(host.net.fib.rules.map((rule) => `${ruleText(rule, host.net)}\n`).join(""));
}

const prefix = ({ address, mask }: { readonly address: number; readonly mask: number }): string => {
  const length = Math.clz32(~mask);
  return length === 32 ? formatIpv4(address) : `${formatIpv4(address)}/${length}`;
};

function ruleText(rule: PolicyRule, net: Namespace): string {
  const words = [`from ${rule.from === undefined || rule.from.mask === 0 ? "all" : prefix(rule.from)}`];
  if (rule.to !== undefined && rule.to.mask !== 0) words.push(`to ${prefix(rule.to)}`);
  if (rule.tos !== undefined && rule.tos !== 0) words.push(`tos 0x${rule.tos.toString(16)}`);
  if (rule.mark !== undefined) {
    const mask = (rule.markMask ?? -1) >>> 0;
    words.push(`fwmark ${hex(rule.mark)}${mask === 0xffffffff ? "" : `/${hex(mask)}`}`);
  }
  for (const [word, index] of [
    ["iif", rule.in],
    ["oif", rule.out],
  ] as const)
    if (index !== undefined) words.push(`${word} ${net.deviceByIndex(index)?.name ?? "?"}`);
  words.push(rule.action === "lookup" ? `lookup ${tableName(rule.table)}` : rule.action);
  return `${rule.priority}:\t${words.join(" ")}`;
}

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
