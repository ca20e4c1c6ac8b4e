declare module "dns-packet" {
  import type { Buffer } from "buffer/index.js";

  export interface Section {
    name: string;
    type: string;
    ttl?: number;
    data?: unknown;
  }
  export interface Packet {
    id?: number;
    type?: "query" | "response";
    flags?: number;
    rcode?: string;
    flag_aa?: boolean;
    flag_tc?: boolean;
    flag_rd?: boolean;
    flag_ra?: boolean;
    questions?: Section[];
    answers?: Section[];
  }
  export function encode(packet: Packet): Buffer;
  /** @throws {Error} for bytes that are no message. */
  export function decode(bytes: Buffer): Packet;
}
