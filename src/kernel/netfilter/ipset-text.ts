import { maskOf } from "../../wire/address.ts";
import { PROTOCOL_ICMP } from "../../wire/ipv4.ts";
import { type IpSet, IpSetAddresses, IpSetNetworks, IpSetPorts } from "./ipset.ts";
import { readIcmpType } from "./matches/icmp.ts";
import { readPort } from "./port.ts";
import { readProtocol } from "./protocol-name.ts";
import { endOfLine, part, type Token, tokenize, unexpected } from "./tokenizer.ts";
import { readAddress, readInteger, readNetwork } from "./value.ts";

const TYPES = ["hash:ip", "hash:net", "hash:ip,port"];
/** Options that change nothing of what a set matches, and how many words follow. */
const HARMLESS: Readonly<Record<string, number>> = {
  hashsize: 1,
  maxelem: 1,
  bucketsize: 1,
  initval: 1,
  counters: 0,
  comment: 0,
  forceadd: 0,
};
const HARMLESS_OF_MEMBER: Readonly<Record<string, number>> = { packets: 1, bytes: 1, comment: 1 };
const MOST_MEMBERS = 65_536;

/** Reads what `ipset save` prints. @throws {InputError} for what ipset would refuse or hopscope does not model. */
export function parseSets(text: string, file: string): Map<string, IpSet> {
  const sets = new Map<string, IpSet>();
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const words = new Words(tokenize(line, file, i + 1), endOfLine(line, file, i + 1));
    const command = words.next('"create" or "add"');
    if (command.text === "create" || command.text === "-N") create(words, sets);
    else if (command.text === "add" || command.text === "-A") add(words, sets);
    else throw unexpected(command, '"create" or "add"');
  }
  return sets;
}

class Words {
  private at = 0;

  constructor(
    private readonly tokens: readonly Token[],
    private readonly end: Token,
  ) {}

  get more(): boolean {
    return this.at < this.tokens.length;
  }

  next(expected: string): Token {
    const token = this.tokens[this.at];
    if (token === undefined) throw unexpected(this.end, expected);
    this.at++;
    return token;
  }
}

function create(words: Words, sets: Map<string, IpSet>): void {
  const name = words.next("a set name");
  if (sets.has(name.text)) throw unexpected(name, "a set that does not exist yet");
  const type = words.next("a set type");
  if (!TYPES.includes(type.text))
    throw unexpected(type, `a set type (${TYPES.join(", ")}); hopscope does not model other types yet`);
  let mask = -1;
  while (words.more) {
    const option = words.next("an option");
    if (option.text === "family") {
      const family = words.next("a family");
      if (family.text !== "inet") throw unexpected(family, "inet; hopscope does not model IPv6 yet");
    } else if (option.text === "netmask" && type.text === "hash:ip")
      mask = maskOf(readInteger(words.next("a prefix length"), 1, 32, "a prefix length"));
    else if (Object.hasOwn(HARMLESS, option.text)) skip(words, option, HARMLESS[option.text]!);
    else throw unexpected(option, "an option of a set that hopscope models");
  }
  if (type.text === "hash:ip") sets.set(name.text, new IpSetAddresses(name.text, mask));
  else if (type.text === "hash:net") sets.set(name.text, new IpSetNetworks(name.text));
  else sets.set(name.text, new IpSetPorts(name.text));
}

function skip(words: Words, option: Token, values: number): void {
  for (let i = 0; i < values; i++) words.next(`a value for ${option.text}`);
}

function add(words: Words, sets: Map<string, IpSet>): void {
  const name = words.next("a set name");
  const set = sets.get(name.text);
  if (set === undefined) throw unexpected(name, "a set that was created above");
  const member = words.next("a member");
  let match = true;
  while (words.more) {
    const option = words.next("an option");
    if (option.text === "nomatch" && set.type === "hash:net") match = false;
    else if (Object.hasOwn(HARMLESS_OF_MEMBER, option.text)) skip(words, option, HARMLESS_OF_MEMBER[option.text]!);
    else throw unexpected(option, "an option of a member that hopscope models");
  }
  if (set instanceof IpSetAddresses) for (const address of readMembers(member)) set.members.add(address & set.mask);
  else if (set instanceof IpSetNetworks) addNetwork(set, member, match);
  else if (set instanceof IpSetPorts) addPort(set, member);
}

/** An address, `1.1.1.1-1.1.1.9` or `1.1.1.0/24`. */
function readMembers(token: Token): number[] {
  const dash = token.text.indexOf("-");
  let first: number;
  let last: number;
  if (dash >= 0) {
    first = readAddress(part(token, 0, dash)) >>> 0;
    last = readAddress(part(token, dash + 1)) >>> 0;
  } else {
    const { address, mask } = readNetwork(token);
    first = (address & mask) >>> 0;
    last = (address | ~mask) >>> 0;
  }
  if (last < first || last - first >= MOST_MEMBERS) throw unexpected(token, `at most ${MOST_MEMBERS} addresses`);
  const members: number[] = [];
  for (let address = first; address <= last; address++) {
    if (address === 0) throw unexpected(token, "an address other than 0.0.0.0");
    members.push(address | 0);
  }
  return members;
}

function addNetwork(set: IpSetNetworks, token: Token, match: boolean): void {
  const { address, mask } = readNetwork(token);
  const length = Math.clz32(~mask);
  if (length === 0 || maskOf(length) !== mask) throw unexpected(token, "a network with a prefix length (1-32)");
  set.insert(address, length, match);
}

/** `10.0.0.1,tcp:80`; without a protocol TCP. */
function addPort(set: IpSetPorts, token: Token): void {
  const comma = token.text.indexOf(",");
  if (comma < 0) throw unexpected(token, "an address and a port such as 10.0.0.1,tcp:80");
  const rest = part(token, comma + 1);
  const colon = rest.text.indexOf(":");
  const protocol = colon < 0 ? 6 : readProtocol(part(rest, 0, colon));
  const port = part(rest, colon + 1);
  let number: number;
  if (protocol === PROTOCOL_ICMP) {
    const [type, code] = readIcmpType(port);
    number = (type << 8) | code;
  } else number = readPort(port);
  for (const address of readMembers(part(token, 0, comma))) set.insert(address, protocol, number);
}
