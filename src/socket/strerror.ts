import type { Errno } from "../kernel/protocol.ts";

export type { Errno };

const MESSAGES: Readonly<Record<Errno, string>> = {
  EPERM: "Operation not permitted",
  EACCES: "Permission denied",
  EINVAL: "Invalid argument",
  EMSGSIZE: "Message too long",
  ENETUNREACH: "Network is unreachable",
  EHOSTUNREACH: "No route to host",
  ENETDOWN: "Network is down",
  ECONNREFUSED: "Connection refused",
  EADDRINUSE: "Address already in use",
  EADDRNOTAVAIL: "Cannot assign requested address",
  EDESTADDRREQ: "Destination address required",
  EAGAIN: "Resource temporarily unavailable",
  ENOBUFS: "No buffer space available",
  EPROTO: "Protocol error",
  ENOPROTOOPT: "Protocol not available",
  EHOSTDOWN: "Host is down",
  ENONET: "Machine is not on the network",
  EOPNOTSUPP: "Operation not supported",
  ECONNRESET: "Connection reset by peer",
  ECONNABORTED: "Software caused connection abort",
  ETIMEDOUT: "Connection timed out",
  EPIPE: "Broken pipe",
  ENOTCONN: "Transport endpoint is not connected",
  EISCONN: "Transport endpoint is already connected",
  EALREADY: "Operation already in progress",
  EINPROGRESS: "Operation now in progress",
  ENOENT: "No such file or directory",
};

export const ERRNOS = Object.keys(MESSAGES) as readonly Errno[];

/** What programs print for an error number, `strerror()`. */
export const strerror = (errno: Errno): string => MESSAGES[errno];
