/** DHCP, RFC 2131. Offsets are those of the BOOTP header; addresses are signed 32-bit integers. */

export const BOOTP_HEADER = 236;
/** The cookie and the first option stand behind it. */
export const DHCP_HEADER = BOOTP_HEADER + 4;
const COOKIE = 0x63825363;

export const BOOTREQUEST = 1;
export const BOOTREPLY = 2;

export const DISCOVER = 1;
export const OFFER = 2;
export const REQUEST = 3;
export const DECLINE = 4;
export const ACK = 5;
export const NAK = 6;
export const RELEASE = 7;
export const INFORM = 8;

/** Options, RFC 2132. */
export const OPTION = {
  pad: 0,
  subnetMask: 1,
  routers: 3,
  dnsServers: 6,
  domainName: 15,
  mtu: 26,
  broadcast: 28,
  ntpServers: 42,
  requestedAddress: 50,
  lease: 51,
  messageType: 53,
  server: 54,
  bootFile: 67,
  domainSearch: 119,
  end: 255,
} as const;

export const operation = (view: DataView, at: number): number => view.getUint8(at);
export const transaction = (view: DataView, at: number): number => view.getInt32(at + 4);
/** The client wants answers by broadcast. */
export const wantsBroadcast = (view: DataView, at: number): boolean => (view.getUint16(at + 10) & 0x8000) !== 0;
export const clientAddress = (view: DataView, at: number): number => view.getInt32(at + 12);
export const yourAddress = (view: DataView, at: number): number => view.getInt32(at + 16);
export const relayAddress = (view: DataView, at: number): number => view.getInt32(at + 24);
export const hardwareHigh = (view: DataView, at: number): number => view.getUint16(at + 28);
export const hardwareLow = (view: DataView, at: number): number => view.getInt32(at + 30);

/** Ethernet, IPv4, the cookie, and a message type. */
export function isValid(view: DataView, at: number, end: number): boolean {
  return (
    end - at > DHCP_HEADER &&
    view.getUint8(at + 1) === 1 &&
    view.getUint8(at + 2) === 6 &&
    view.getInt32(at + BOOTP_HEADER) === COOKIE &&
    findOption(view, at, end, OPTION.messageType, 1) !== -1
  );
}

/** Where an option's data of `length` bytes stands, -1 where it is absent or of another length. */
export function findOption(view: DataView, at: number, end: number, option: number, length: number): number {
  for (let i = at + DHCP_HEADER; i < end; ) {
    const code = view.getUint8(i);
    if (code === OPTION.end) return -1;
    if (code === OPTION.pad) {
      i++;
      continue;
    }
    if (i + 2 > end) return -1;
    const size = view.getUint8(i + 1);
    if (i + 2 + size > end) return -1;
    if (code === option) return size === length ? i + 2 : -1;
    i += 2 + size;
  }
  return -1;
}

/** An option and its data. */
export interface DhcpOption {
  readonly code: number;
  readonly data: Uint8Array;
}

export const addressOption = (code: number, address: number): DhcpOption => ({ code, data: bytesOf(address) });
export const numberOption = addressOption;

function bytesOf(value: number): Uint8Array {
  const data = new Uint8Array(4);
  new DataView(data.buffer).setInt32(0, value);
  return data;
}

/** A server's reply to the request whose header stands at `at`. */
export function formatReply(
  request: DataView,
  at: number,
  your: number,
  server: number,
  options: readonly DhcpOption[],
): Uint8Array {
  const length = options.reduce((sum, { data }) => sum + 2 + data.length, DHCP_HEADER + 1);
  // RFC 1542, 2.1: no BOOTP message is shorter than 300 bytes.
  const bytes = new Uint8Array(Math.max(300, length));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 44; i++) bytes[i] = request.getUint8(at + i);
  view.setUint8(0, BOOTREPLY);
  view.setUint8(3, 0);
  view.setUint16(8, 0);
  view.setInt32(16, your);
  view.setInt32(20, server);
  view.setInt32(BOOTP_HEADER, COOKIE);
  let i = DHCP_HEADER;
  for (const { code, data } of options) {
    view.setUint8(i, code);
    view.setUint8(i + 1, data.length);
    bytes.set(data, i + 2);
    i += 2 + data.length;
  }
  view.setUint8(i, OPTION.end);
  return bytes;
}

/** Names as RFC 3397 lists them, each whole. */
export function domainSearch(names: readonly string[]): Uint8Array {
  const bytes: number[] = [];
  for (const name of names) {
    for (const label of name.split(".")) bytes.push(label.length, ...[...label].map((letter) => letter.charCodeAt(0)));
    bytes.push(0);
  }
  return Uint8Array.from(bytes);
}
