import { part, type Token, unexpected } from "./tokenizer.ts";
import { type Masked, readInteger } from "./value.ts";

/** RFC 1349. */
const NAMES = new Map<string, number>(
  Object.entries({
    "minimize-delay": 0x10,
    "maximize-throughput": 0x08,
    "maximize-reliability": 0x04,
    "minimize-cost": 0x02,
    "normal-service": 0x00,
  }),
);
/** A name says nothing of the precedence bits. */
const NAME_MASK = 0x3f;

export const readTosByte = (token: Token): number => readInteger(token, 0, 255, "a TOS byte");

/** `16`, `0x10/0x3f` or `Minimize-Delay`. */
export function readTos(token: Token): Masked {
  if (/^\d/.test(token.text)) {
    const slash = token.text.indexOf("/");
    if (slash < 0) return { value: readTosByte(token), mask: 0xff };
    return { value: readTosByte(part(token, 0, slash)), mask: readTosByte(part(token, slash + 1)) };
  }
  const value = NAMES.get(token.text.toLowerCase());
  if (value === undefined)
    throw unexpected(
      token,
      "a TOS byte (0-255) with or without a mask, or a name such as Minimize-Delay",
      `Symbolic name "${token.text}" is unknown`,
    );
  return { value, mask: NAME_MASK };
}

/** RFC 2474, 2597 and 3246: BE, CS0-CS7, AF11-AF43, EF. */
export function readDscpClass(token: Token): number {
  const [, selector, group, drop] = /^(?:CS([0-7])|AF([1-4])([1-3]))$/i.exec(token.text) ?? [];
  if (selector !== undefined) return Number(selector) << 3;
  if (group !== undefined) return (Number(group) << 3) | (Number(drop) << 1);
  const name = token.text.toUpperCase();
  if (name === "EF") return 0x2e;
  if (name === "BE") return 0;
  throw unexpected(token, "a class (BE, CS0-CS7, AF11-AF43 or EF)");
}
