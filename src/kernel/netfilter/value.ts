import { formatIpv4, maskOf, parseIpv4 } from "../../wire/address.ts";
import { part, type Reason, type Token, unexpected } from "./tokenizer.ts";

/** A number, decimal, octal with a leading 0 or hexadecimal with 0x, as `strtoul(base 0)` reads it; NaN for anything else. */
export function parseInteger(text: string): number {
  if (/^0x[0-9a-f]+$/i.test(text)) return Number.parseInt(text.slice(2), 16);
  if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8);
  return /^(0|[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN;
}

/** Reads an integer in a range; `what` names it in the error. */
export function readInteger(token: Token, min: number, max: number, what = "a number"): number {
  const value = parseInteger(token.text);
  if (!(value >= min && value <= max)) throw unexpected(token, `${what} (${min}-${max})`, outOfRange(min, max));
  return value;
}

const outOfRange =
  (min: number, max: number): Reason =>
  (extension, option) =>
    `${extension}: bad value for option "--${option}", or out of range (${min}-${max}).`;

/** `5`, `5:9`, `5:` or `:9`. */
export function readIntegerRange(token: Token, limit: number, what: string): { min: number; max: number } {
  const colon = token.text.indexOf(":");
  if (colon < 0) {
    const value = readEnd(token, limit, what);
    return { min: value, max: value };
  }
  return {
    min: colon === 0 ? 0 : readEnd(part(token, 0, colon), limit, what),
    max: colon === token.text.length - 1 ? limit : readEnd(part(token, colon + 1), limit, what),
  };
}

function readEnd(token: Token, limit: number, what: string): number {
  const value = parseInteger(token.text);
  if (value >= 0 && value <= limit) return value;
  throw unexpected(token, `${what} (0-${limit})`, badEnd(token, limit));
}

/** The reason for a bad end of a range. */
export const badEnd =
  ({ text }: Token, limit: number | bigint): Reason =>
  (extension, option) =>
    `${extension}: bad value for option "--${option}" near "${text}", or out of range (0-${limit}).`;

/** A 32-bit value and its mask, both signed. */
export interface Masked {
  readonly value: number;
  readonly mask: number;
}

const U32 = 0xffffffff;

/** `0x10` or `0x10/0xff`. */
export function readMasked(token: Token): Masked {
  const slash = token.text.indexOf("/");
  return {
    value: readMark(slash < 0 ? token : part(token, 0, slash), "a mark"),
    mask: slash < 0 ? -1 : readMark(part(token, slash + 1), "a mask"),
  };
}

function readMark(token: Token, what: string): number {
  const value = parseInteger(token.text);
  if (value >= 0 && value <= U32) return value | 0;
  throw unexpected(token, `${what} (0-${U32})`, badMark);
}

const badMark: Reason = (extension, option) =>
  `${extension}: bad integer value for option "--${option}", or out of range.`;

export const readMask = (token: Token): number => readInteger(token, 0, U32, "a mask") | 0;

export const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
export const hexByte = (value: number): string => `0x${value.toString(16).padStart(2, "0")}`;

export function readAddress(token: Token): number {
  try {
    return parseIpv4(token.text);
  } catch {
    throw unexpected(token, "an IPv4 address", `host/network \`${token.text}' not found`);
  }
}

/** An address with a mask that need not be contiguous; host bits are kept. */
export interface Network {
  readonly address: number;
  readonly mask: number;
}

/** `10.0.0.1`, `10.0.0.0/8`, `10/8` or `10.0.0.0/255.0.0.0`. */
export function readNetwork(token: Token): Network {
  const slash = token.text.indexOf("/");
  const host = slash < 0 ? token : part(token, 0, slash);
  const dots = host.text.split(".").length - 1;
  const full = /^\d+(\.\d+){0,2}$/.test(host.text) && slash >= 0 ? host.text + ".0".repeat(3 - dots) : host.text;
  const address = readAddress({ ...host, text: full });
  if (slash < 0) return { address, mask: -1 };
  const suffix = part(token, slash + 1);
  if (suffix.text.includes(".")) return { address, mask: readAddress(suffix) };
  return { address, mask: maskOf(readPrefixLength(suffix)) };
}

function readPrefixLength(token: Token): number {
  const length = parseInteger(token.text);
  if (length >= 0 && length <= 32) return length;
  throw unexpected(token, "a prefix length (0-32)", `invalid mask \`${token.text}' specified`);
}

/** The prefix length of a contiguous mask; -1 for any other. */
export function prefixLength(mask: number): number {
  const length = Math.clz32(~mask);
  return maskOf(length) === mask ? length : -1;
}

/** `10.0.0.0/8`, `10.0.0.1/32`; a mask with holes as a dotted quad. */
export function formatNetwork(address: number, mask: number): string {
  const length = prefixLength(mask);
  return `${formatIpv4(address)}/${length < 0 ? formatIpv4(mask) : length}`;
}

/** `1.1.1.1-1.1.1.9` or one address. */
export function readAddressRange(token: Token): { min: number; max: number } {
  const dash = token.text.indexOf("-");
  if (dash < 0) {
    const address = readAddress(token);
    return { min: address, max: address };
  }
  return { min: readAddress(part(token, 0, dash)), max: readAddress(part(token, dash + 1)) };
}

const A_DEVICE = "a device name (1 to 15 characters, a + at the end for any ending)";

export function readDeviceName(token: Token): string {
  if (token.end || token.text === "" || token.text.length > 15)
    throw unexpected(token, A_DEVICE, `interface name \`${token.text}' must be shorter than IFNAMSIZ (15)`);
  return token.text;
}

/** A device name as a rule gives it; a `+` at the end stands for any ending. */
export class DevicePattern {
  private readonly stem: string;
  private readonly open: boolean;

  constructor(readonly text: string) {
    this.open = text.endsWith("+");
    this.stem = this.open ? text.slice(0, -1) : text;
  }

  covers(name: string): boolean {
    return this.open ? name.startsWith(this.stem) : name === this.stem;
  }
}

/** An option as `iptables-save` prints it. */
export const printOption = (name: string, value: string, not = false): string =>
  `${not ? "! " : ""}--${name}${value === "" ? "" : ` ${value}`}`;
