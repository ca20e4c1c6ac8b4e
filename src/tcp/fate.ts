/** Why a segment was dropped, by Linux's names. */
export type TcpDropReason =
  | "TCP_FLAGS"
  | "TCP_CLOSE"
  | "TCP_RESET"
  | "TCP_INVALID_SYN"
  | "TCP_INVALID_SEQUENCE"
  | "TCP_OLD_DATA"
  | "TCP_OVERWINDOW"
  | "TCP_ZEROWINDOW"
  | "TCP_RFC7323_PAWS"
  | "TCP_TOO_OLD_ACK"
  | "TCP_ACK_UNSENT_DATA"
  | "TCP_LISTEN_OVERFLOW"
  | "PROTO_MEM";

/** What became of a segment: taken, answered with a RST by the owner, a SYN that may begin anew, or dropped. */
export type Fate = "accepted" | "reset" | "reopen" | TcpDropReason;
