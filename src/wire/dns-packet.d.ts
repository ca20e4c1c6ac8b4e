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
  /** The data of a record of this type, behind its length. @throws {Error} for data that it cannot have. */
  export function record(type: string): { encode(data: unknown): Buffer };
  /** @throws {Error} for bytes that are no message. */
  export function decode(bytes: Buffer): Packet;
}

declare module "dns-packet/types.js" {
  /** The number of a record type such as `AAAA`; 0 for none. */
  export function toType(name: string): number;
}
