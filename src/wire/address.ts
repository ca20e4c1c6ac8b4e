import { Address4 } from "ip-address";

/**
 * Addresses inside the simulator are integers: an IPv4 address is a signed 32-bit integer (so that it never needs a
 * heap number), a MAC address is a pair (high 16 bits, low 32 bits signed). Text appears only at the edges.
 */
export type Ipv4 = number;

/** An IPv4 prefix: `mask` has `length` leading ones; `address` is already masked. */
export interface Prefix {
  readonly address: Ipv4;
  readonly length: number;
  readonly mask: number;
}

/** @throws {RangeError} with the reason when `text` is no dotted quad. */
export function parseIpv4(text: string): Ipv4 {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) throw new RangeError(`not an IPv4 address: ${text}`);
  try {
    return Number(new Address4(text).bigInt()) | 0;
  } catch {
    throw new RangeError(`not an IPv4 address: ${text}`);
  }
}

export function formatIpv4(address: Ipv4): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

export function maskOf(length: number): number {
  return length === 0 ? 0 : (-1 << (32 - length)) | 0;
}

/**
 * `10.0.0.0/8`, `10.0.0.1` (length 32) or `10.0.0.0/255.0.0.0` as iptables allows; host bits are cleared.
 * @throws {RangeError} with the reason.
 */
export function parsePrefix(text: string): Prefix {
  const { address, length } = parseInterface(text);
  const mask = maskOf(length);
  return { address: address & mask, length, mask };
}

/** `172.17.0.1/16`: an address with its prefix length, host bits kept. @throws {RangeError} with the reason. */
export function parseInterface(text: string): { address: Ipv4; length: number } {
  const slash = text.indexOf("/");
  if (slash < 0) return { address: parseIpv4(text), length: 32 };
  const address = parseIpv4(text.slice(0, slash));
  const suffix = text.slice(slash + 1);
  if (/^(0|[1-9]\d?)$/.test(suffix) && Number(suffix) <= 32) return { address, length: Number(suffix) };
  if (suffix.includes(".")) {
    const mask = parseIpv4(suffix);
    const length = Math.clz32(~mask);
    if (maskOf(length) === mask) return { address, length };
  }
  throw new RangeError(`not a prefix length: ${suffix}`);
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatIpv4(prefix.address)}/${prefix.length}`;
}

export function isMulticast(address: Ipv4): boolean {
  return address >>> 28 === 14;
}

export function isLoopback(address: Ipv4): boolean {
  return address >>> 24 === 127;
}

/** 0.0.0.0 alone, `ipv4_is_zeronet()`: Linux takes the rest of 0/8 for ordinary addresses. */
export function isZeronet(address: Ipv4): boolean {
  return address === 0;
}

/** A MAC address: `high` holds the first two bytes, `low` the last four as a signed integer. */
export interface Mac {
  readonly high: number;
  readonly low: number;
}

export const BROADCAST_MAC: Mac = { high: 0xffff, low: -1 };

/** @throws {RangeError} when `text` is not six hexadecimal bytes with colons. */
export function parseMac(text: string): Mac {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw new RangeError(`not a MAC address: ${text}`);
  const hex = text.replaceAll(":", "");
  return { high: Number.parseInt(hex.slice(0, 4), 16), low: Number.parseInt(hex.slice(4), 16) | 0 };
}

export function formatMac(high: number, low: number): string {
  const hex = (high & 0xffff).toString(16).padStart(4, "0") + (low >>> 0).toString(16).padStart(8, "0");
  return hex.replace(/..(?!$)/g, "$&:");
}
