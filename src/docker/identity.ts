import type { Random } from "../sim/random.ts";
import type { Ipv4, Mac } from "../wire/address.ts";
import type { Engine } from "./engine.ts";

/** `digits` hexadecimal digits. */
export function hexadecimal(random: Random, digits: number): string {
  let text = "";
  while (text.length < digits) text += (random.next() >>> 0).toString(16).padStart(8, "0");
  return text.slice(0, digits);
}

/** `GenerateRandomMAC()`: locally administered, no group. */
export const randomMac = (random: Random): Mac => ({
  high: (((random.below(256) & 0xfe) | 0x02) << 8) | random.below(256),
  low: random.next(),
});

/** What a container's device is called on the cable: until 27 after its address, then at random. */
export const containerMac = (engine: Engine, address: Ipv4, random: Random): Mac =>
  engine.macOfAddress ? { high: 0x0242, low: address } : randomMac(random);

/** Until 27 a bridge begins with 02:42. */
export const bridgeMac = (engine: Engine, random: Random): Mac =>
  engine.macOfAddress ? { high: 0x0242, low: random.next() } : randomMac(random);

/** `veth` and seven hexadecimal digits. */
export const vethName = (random: Random): string => `veth${hexadecimal(random, 7)}`;
