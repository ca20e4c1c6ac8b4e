import type { Errno, IcmpError } from "../kernel/protocol.ts";

/** `icmp_err_convert`: the error number of each unreachable code, and whether it is final. */
const UNREACHABLE: readonly (readonly [Errno, boolean])[] = [
  ["ENETUNREACH", false],
  ["EHOSTUNREACH", false],
  ["ENOPROTOOPT", true],
  ["ECONNREFUSED", true],
  ["EMSGSIZE", false],
  ["EOPNOTSUPP", false],
  ["ENETUNREACH", true],
  ["EHOSTDOWN", true],
  ["ENONET", true],
  ["ENETUNREACH", true],
  ["EHOSTUNREACH", true],
  ["ENETUNREACH", false],
  ["EHOSTUNREACH", false],
  ["EHOSTUNREACH", true],
  ["EHOSTUNREACH", true],
  ["EHOSTUNREACH", true],
];

/** What a socket is told of an ICMP error; null for one that is no news to it (`__udp4_lib_err()`). */
export function errnoOf(error: IcmpError): { readonly errno: Errno; readonly final: boolean } | null {
  if (error.type === 3) {
    const [errno, final] = UNREACHABLE[error.code] ?? ["EHOSTUNREACH", false];
    return { errno, final };
  }
  if (error.type === 11) return { errno: "EHOSTUNREACH", final: false };
  if (error.type === 12) return { errno: "EPROTO", final: true };
  return null;
}
