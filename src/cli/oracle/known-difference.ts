import type { CanonicalFrame } from "./canonical.ts";
import type { Fields } from "./frame-fields.ts";

/** Where the kernel and hopscope are told apart on purpose. The comparison masks what stands here, and nothing else. */
export interface KnownDifference {
  readonly name: string;
  readonly reason: string;
}

/**
 * Conntrack gathers fragments; NAT and forwarding then change the first, and `ip_do_fragment()` copies its header over
 * those of the others where they lie, in bytes that the packet taps hold too.
 */
export const SHARED_FRAGMENT: KnownDifference = {
  name: "shared fragment",
  reason:
    "a packet tap shares the bytes of a later fragment with the kernel, which writes the headers of the datagram as it " +
    "was sent on over them before the tap is read; hopscope shows each frame as it passed",
};

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [SHARED_FRAGMENT];

const HEADERS = new Set(
  "to, from, source, destination, ttl, tos, length, df, more fragments, options, checksum".split(", "),
);

/**
 * Whether a frame of the kernel differs from one of hopscope by {@link SHARED_FRAGMENT} alone: the kernel itself, asked
 * by a capture that copies each frame as it passes, says what hopscope says, and only the headers of a fragment that is not
 * the first were written over.
 */
export function isSharedFragment({ fields, passed }: CanonicalFrame, ours: Fields): boolean {
  if (passed === undefined || passed["offset"] === undefined || !sameFields(passed, ours)) return false;
  const names = new Set([...Object.keys(fields), ...Object.keys(passed)]);
  return [...names].every((name) => fields[name] === passed[name] || HEADERS.has(name));
}

export function sameFields(a: Fields, b: Fields): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
