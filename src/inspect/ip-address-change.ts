import { removeAddress } from "../kernel/address-removal.ts";
import type { InDevice, Scope } from "../kernel/in-device.ts";
import { maskOf, parseInterface, parseIpv4 } from "../wire/address.ts";
import { fullAddress } from "./ip-value.ts";
import type { Machine } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import type { Words } from "./words.ts";

interface Request {
  text: string | null;
  device: InDevice | null;
  broadcast: string | null;
  scope: Scope | null;
}

/** `ip address add|delete ADDRESS[/LENGTH] dev DEVICE [brd ADDRESS|+] [scope SCOPE]`. */
export function changeAddress(command: "add" | "delete", words: Words, machine: Machine): Printed {
  const { net } = machine.host;
  const request: Request = { text: null, device: null, broadcast: null, scope: null };
  while (!words.done) readAttribute(words, machine, request);
  if (request.device === null) throw new Refusal('Not enough information: "dev" argument is required.', 1);
  if (request.text === null) throw new Refusal("RTNETLINK answers: Operation not supported", 2);
  const { address, length } = readInterface(request.text);
  const given = request.device.addresses.find(
    (other) =>
      other.address === address && (other.length === length || (command === "delete" && !request.text!.includes("/"))),
  );
  if (command === "delete") {
    if (given === undefined) throw new Refusal("Error: ipv4: Address not found.", 2);
    removeAddress(net, request.device, given);
  } else {
    if (given !== undefined) throw new Refusal("Error: ipv4: Address already assigned.", 2);
    const scope = request.scope ?? (address >>> 24 === 127 ? "host" : "global");
    net.addAddress(request.device, address, length, scope, readBroadcast(request.broadcast, address, length));
  }
  machine.world.settle();
  return printed("");
}

function readAttribute(words: Words, { host }: Machine, request: Request): void {
  const word = words.next();
  if (word === "dev") {
    const name = words.need();
    request.device = host.net.inDevice(name);
    if (request.device === null) throw new Refusal(`Cannot find device "${name}"`, 1);
  } else if (word === "brd" || word === "broadcast") request.broadcast = words.need();
  else if (word === "scope") {
    const scope = words.need();
    if (scope !== "global" && scope !== "link" && scope !== "host")
      throw new Refusal(`Error: argument "${scope}" is wrong: invalid scope value.\n`, 255);
    request.scope = scope;
  } else if (
    ["label", "peer", "anycast", "metric", "valid_lft", "preferred_lft", "noprefixroute", "home", "nodad"].includes(
      word,
    )
  )
    throw unmodelled(`the word ${word} of ip address`, "dev, brd and scope");
  else {
    const text = word === "local" ? words.need() : word;
    if (request.text !== null) throw new Refusal(`Error: either "local" is duplicate, or "${text}" is a garbage.`, 255);
    request.text = text;
  }
}

function readInterface(text: string): { address: number; length: number } {
  try {
    return parseInterface(fullAddress(text));
  } catch {
    throw new Refusal(`Error: any valid prefix is expected rather than "${text}".`, 1);
  }
}

function readBroadcast(text: string | null, address: number, length: number): number {
  if (text === null || text === "-") return 0;
  if (text === "+") return length < 31 ? address | ~maskOf(length) : 0;
  try {
    return parseIpv4(text);
  } catch {
    throw new Refusal(`Error: inet address is expected rather than "${text}".`, 1);
  }
}
