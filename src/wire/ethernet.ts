/** Ethernet II. All functions take the offset of the destination address. */

export const ETHERNET_HEADER = 14;
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
/** IEEE 802.1Q and 802.1ad: a tag of four bytes stands before the real type. */
export const isVlan = (type: number): boolean => type === 0x8100 || type === 0x88a8;
export const VLAN_TAG = 4;

export const destinationHigh = (view: DataView, at: number): number => view.getUint16(at);
export const destinationLow = (view: DataView, at: number): number => view.getInt32(at + 2);
export const sourceHigh = (view: DataView, at: number): number => view.getUint16(at + 6);
export const sourceLow = (view: DataView, at: number): number => view.getInt32(at + 8);
export const etherType = (view: DataView, at: number): number => view.getUint16(at + 12);

export function setDestination(view: DataView, at: number, high: number, low: number): void {
  view.setUint16(at, high);
  view.setInt32(at + 2, low);
}

export function setSource(view: DataView, at: number, high: number, low: number): void {
  view.setUint16(at + 6, high);
  view.setInt32(at + 8, low);
}

export function setEtherType(view: DataView, at: number, type: number): void {
  view.setUint16(at + 12, type);
}

/** The group bit: multicast and broadcast. */
export const isGroup = (high: number): boolean => (high & 0x0100) !== 0;
export const isBroadcast = (high: number, low: number): boolean => high === 0xffff && low === -1;
