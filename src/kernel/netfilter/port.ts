import { part, type Token, unexpected } from "./tokenizer.ts";
import { parseInteger } from "./value.ts";

/** The services that rule text is likely to name (IANA). */
const SERVICES = new Map<string, number>(
  Object.entries({
    tcpmux: 1,
    echo: 7,
    discard: 9,
    systat: 11,
    daytime: 13,
    netstat: 15,
    qotd: 17,
    chargen: 19,
    "ftp-data": 20,
    ftp: 21,
    ssh: 22,
    telnet: 23,
    smtp: 25,
    mail: 25,
    time: 37,
    whois: 43,
    tacacs: 49,
    domain: 53,
    bootps: 67,
    bootpc: 68,
    tftp: 69,
    gopher: 70,
    finger: 79,
    http: 80,
    www: 80,
    kerberos: 88,
    "iso-tsap": 102,
    pop3: 110,
    sunrpc: 111,
    auth: 113,
    ident: 113,
    nntp: 119,
    ntp: 123,
    epmap: 135,
    "netbios-ns": 137,
    "netbios-dgm": 138,
    "netbios-ssn": 139,
    imap2: 143,
    imap: 143,
    snmp: 161,
    "snmp-trap": 162,
    snmptrap: 162,
    bgp: 179,
    irc: 194,
    ldap: 389,
    https: 443,
    "microsoft-ds": 445,
    submissions: 465,
    isakmp: 500,
    syslog: 514,
    printer: 515,
    route: 520,
    uucp: 540,
    rtsp: 554,
    submission: 587,
    ipp: 631,
    ldaps: 636,
    domains: 853,
    rsync: 873,
    ftps: 990,
    telnets: 992,
    imaps: 993,
    pop3s: 995,
    socks: 1080,
    openvpn: 1194,
    "ms-sql-s": 1433,
    radius: 1812,
    "radius-acct": 1813,
    nfs: 2049,
    mysql: 3306,
    "ms-wbt-server": 3389,
    svn: 3690,
    "ipsec-nat-t": 4500,
    sip: 5060,
    "sip-tls": 5061,
    "xmpp-client": 5222,
    "xmpp-server": 5269,
    mdns: 5353,
    postgresql: 5432,
    amqp: 5672,
    x11: 6000,
    redis: 6379,
    "http-alt": 8080,
    webcache: 8080,
  }),
);

export const A_PORT = "a port (0-65535 or a service name)";

/** A number or a service name; null for anything else. */
export function parsePort(text: string): number | null {
  const number = parseInteger(text);
  if (number >= 0 && number <= 0xffff) return number;
  return SERVICES.get(text.toLowerCase()) ?? null;
}

export function readPort(token: Token): number {
  const port = parsePort(token.text);
  if (port === null) throw unexpected(token, A_PORT, `invalid port/service \`${token.text}' specified`);
  return port;
}

/** Both ends are included. */
export interface PortRange {
  readonly min: number;
  readonly max: number;
}

/** `80`, `80:90`, `80:` or `:90`. */
export function readPortRange(token: Token): PortRange {
  const colon = token.text.indexOf(":");
  if (colon < 0) {
    const port = readPort(token);
    return { min: port, max: port };
  }
  const min = colon === 0 ? 0 : readPort(part(token, 0, colon));
  const max = colon === token.text.length - 1 ? 0xffff : readPort(part(token, colon + 1));
  if (max < min)
    throw unexpected(token, "a port range whose first port is not above its last", "invalid portrange (min > max)");
  return { min, max };
}

export const formatPortRange = (min: number, max: number): string => (min === max ? `${min}` : `${min}:${max}`);
