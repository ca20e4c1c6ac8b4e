import { TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN } from "../kernel/fib.ts";
import type { Namespace } from "../kernel/namespace.ts";
import { type Prefix, parsePrefix } from "../wire/address.ts";
import { Refusal } from "./printed.ts";

/** Values as iproute2 reads them. */

const TABLE_NAMES: Readonly<Record<number, string>> = {
  [TABLE_LOCAL]: "local",
  [TABLE_MAIN]: "main",
  [TABLE_DEFAULT]: "default",
};

/** `/etc/iproute2/rt_tables`. @throws {Refusal}. */
export function readTable(word: string): number {
  for (const [number, name] of Object.entries(TABLE_NAMES)) if (name === word) return Number(number);
  const number = Number(word);
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(word) || number > 0xffffffff)
    throw new Refusal(`Error: argument "${word}" is wrong: table id value is invalid\n`, 255);
  return number;
}

export const tableName = (table: number): string => TABLE_NAMES[table] ?? String(table);

/** @throws {Refusal} for a device that does not exist. */
export function readDevice(name: string, net: Namespace): string {
  if (net.device(name) === null) throw new Refusal(`Cannot find device "${name}"`, 1);
  return name;
}

export function readPrefix(word: string): Prefix {
  if (word === "default" || word === "any" || word === "all") return { address: 0, length: 0, mask: 0 };
  try {
    return parsePrefix(fullAddress(word));
  } catch {
    throw new Refusal(`Error: any valid prefix is expected rather than "${word}".`, 1);
  }
}

/** 10/8, which inet_aton() would read as 0.0.0.10, is 10.0.0.0/8. */
export function fullAddress(word: string): string {
  const [address = "", ...length] = word.split("/");
  const groups = address.split(".").length;
  const full = /^\d+(\.\d+){0,2}$/.test(address) ? `${address}${".0".repeat(4 - groups)}` : address;
  return [full, ...length].join("/");
}

export function readAddress(word: string): number {
  try {
    return parsePrefix(word.includes("/") ? "" : word).address;
  } catch {
    throw new Refusal(`Error: inet address is expected rather than "${word}".`, 1);
  }
}
