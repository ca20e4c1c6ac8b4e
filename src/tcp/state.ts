/**
 * The states of a connection (RFC 9293, 3.3.2), by their names in Linux.
 *
 *                      connect()                                SYN arrives at a listener
 *   CLOSE ------------------------------> SYN_SENT    LISTEN ----------------------------> SYN_RECV
 *                                          |     |                                           |
 *                             SYN+ACK      |     |  SYN: simultaneous open                   | ACK
 *                                          |     +---------------> SYN_RECV -----------------+
 *                                          v                                                 v
 *                                     ESTABLISHED <------------------------------------------+
 *                  close()              |     |              FIN
 *         FIN_WAIT1 <-------------------+     +-----------------> CLOSE_WAIT
 *        ACK |     | FIN                                            | close()
 *            v     +--------> CLOSING                               v
 *        FIN_WAIT2              | ACK                             LAST_ACK
 *            | FIN              v                                   | ACK
 *            +-----------> TIME_WAIT ---- 60 s ----> CLOSE <--------+
 */
export type TcpState =
  | "CLOSE"
  | "LISTEN"
  | "SYN_SENT"
  | "SYN_RECV"
  | "ESTABLISHED"
  | "FIN_WAIT1"
  | "FIN_WAIT2"
  | "CLOSE_WAIT"
  | "CLOSING"
  | "LAST_ACK"
  | "TIME_WAIT";

/** The program may still write. */
export const maySend = (state: TcpState): boolean => state === "ESTABLISHED" || state === "CLOSE_WAIT";

/** The peer's SYN was seen, so that segments carry an acknowledgement. */
export const isSynchronized = (state: TcpState): boolean =>
  state !== "CLOSE" && state !== "LISTEN" && state !== "SYN_SENT";

/** What is left to a connection's program when the peer is gone or told so. */
export type TcpErrno =
  | "ECONNRESET"
  | "ECONNREFUSED"
  | "ETIMEDOUT"
  | "EPIPE"
  | "ENETUNREACH"
  | "EHOSTUNREACH"
  | "ENOPROTOOPT"
  | "EHOSTDOWN"
  | "ENONET"
  | "EPROTO"
  | "EOPNOTSUPP";
