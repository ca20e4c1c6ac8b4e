import type { CaptureFile, CapturePacket, readPcap } from "../../src/trace/pcap.ts";
import { readCapture } from "../../src/trace/pcapng.ts";
import { InputError } from "../../src/wire/input-error.ts";

/** Puts capture files together by hand, in either byte order. */
export class CaptureBuilder {
  constructor(readonly littleEndian: boolean) {}

  u16(...values: number[]): Uint8Array {
    const view = new DataView(new ArrayBuffer(2 * values.length));
    for (const [i, value] of values.entries()) view.setUint16(2 * i, value, this.littleEndian);
    return new Uint8Array(view.buffer);
  }

  u32(...values: number[]): Uint8Array {
    const view = new DataView(new ArrayBuffer(4 * values.length));
    for (const [i, value] of values.entries()) view.setUint32(4 * i, value, this.littleEndian);
    return new Uint8Array(view.buffer);
  }

  u64(value: bigint): Uint8Array {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt.asUintN(64, value), this.littleEndian);
    return new Uint8Array(view.buffer);
  }

  pcap(magic: number, snapLength: number, network: number, ...records: Uint8Array[]): Uint8Array {
    return join(this.u32(magic), this.u16(2, 4), this.u32(0, 0, snapLength, network), ...records);
  }

  record(seconds: number, fraction: number, bytes: Uint8Array, originalLength = bytes.length): Uint8Array {
    return join(this.u32(seconds, fraction, bytes.length, originalLength), bytes);
  }

  block(type: number, ...body: Uint8Array[]): Uint8Array {
    const content = padded(join(...body));
    const length = content.length + 12;
    return join(this.u32(type, length), content, this.u32(length));
  }

  section(...options: Uint8Array[]): Uint8Array {
    return this.block(0x0a0d0d0a, this.u32(0x1a2b3c4d), this.u16(1, 0), this.u64(-1n), ...options);
  }

  description(linkType: number, snapLength: number, ...options: Uint8Array[]): Uint8Array {
    return this.block(1, this.u16(linkType, 0), this.u32(snapLength), ...options);
  }

  enhanced(on: number, time: bigint, bytes: Uint8Array, ...options: Uint8Array[]): Uint8Array {
    const high = Number(time >> 32n);
    const low = Number(time & 0xffff_ffffn);
    return this.block(6, this.u32(on, high, low, bytes.length, bytes.length), padded(bytes), ...options);
  }

  option(code: number, value: Uint8Array): Uint8Array {
    return join(this.u16(code, value.length), padded(value));
  }
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function padded(bytes: Uint8Array): Uint8Array {
  return join(bytes, new Uint8Array(-bytes.length & 3));
}

export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** A file's packets up to its damage, and the damage. Anything that is thrown and no InputError passes through. */
export function readUntilDamage(
  bytes: Uint8Array,
  read: (bytes: Uint8Array, file: string) => CaptureFile = readCapture,
): { readonly packets: readonly CapturePacket[]; readonly damage: InputError | null } {
  const packets: CapturePacket[] = [];
  try {
    for (const packet of read(bytes, "some.pcap").packets) packets.push(packet);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { packets, damage: error };
  }
  return { packets, damage: null };
}

/** What is wrong with a file, for tests that expect damage. */
export function damageOf(bytes: Uint8Array, read: typeof readPcap = readCapture): string {
  return readUntilDamage(bytes, read).damage?.message ?? "nothing is wrong";
}
