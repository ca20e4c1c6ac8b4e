import type { Packet } from "../../../packet/packet.ts";
import type { MatchKind, Options } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { splitList, type Token, unexpected } from "../tokenizer.ts";

const DAY = 86_400;
const LAST_SECOND = DAY - 1;
/** 2038-01-19T03:14:07, the last second that iptables knows. */
const LAST_DATE = 0x7fffffff;
const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/** Bit 1 is Monday. */
const ALL_WEEKDAYS = 0xfe;
/** Bit 1 is the first. */
const ALL_MONTHDAYS = 0xfffffffe | 0;

interface Wanted {
  /** Seconds of the day, both included. */
  readonly start: number;
  readonly stop: number;
  /** Seconds since 1970, both included. */
  readonly from: number;
  readonly until: number;
  readonly weekdays: number;
  readonly monthdays: number;
  readonly contiguous: boolean;
  readonly local: boolean;
}

/** The day of the month of a day since 1970-01-01, by eras of 400 years that begin in March. */
function dayOfMonth(day: number): number {
  const ofEra = (day + 719_468) % 146_097;
  const year = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * year + Math.floor(year / 4) - Math.floor(year / 100));
  const month = Math.floor((5 * ofYear + 2) / 153);
  return ofYear - Math.floor((153 * month + 2) / 5) + 1;
}

/**
 * `time_mt()` of xt_time.c. The clock on the wall is the virtual clock, which starts at 1970-01-01T00:00:00 UTC, a
 * Thursday; the kernel's time zone is UTC.
 */
class TimeMatch implements Match {
  readonly name = "time";

  constructor(private readonly wanted: Wanted) {}

  matches(_packet: Packet, context: RuleContext): boolean {
    const { start, stop, from, until, weekdays, monthdays, contiguous } = this.wanted;
    const now = Math.floor(context.net.fabric.scheduler.now / 1e9);
    if (now < from || now > until) return false;
    const second = now % DAY;
    let day = Math.floor(now / DAY);
    if (start < stop) {
      if (second < start || second > stop) return false;
    } else {
      if (second < start && second > stop) return false;
      // The hours after midnight still belong to the day on which the span began.
      if (contiguous && second <= stop) day--;
    }
    if (((weekdays >> (((day + 3) % 7) + 1)) & 1) === 0) return false;
    return monthdays === ALL_MONTHDAYS || ((monthdays >>> dayOfMonth(day)) & 1) === 1;
  }

  print(): string {
    const { start, stop, from, until, weekdays, monthdays, contiguous, local } = this.wanted;
    const words: string[] = [];
    if (start !== 0 || stop !== LAST_SECOND)
      words.push(`--timestart ${formatTime(start)} --timestop ${formatTime(stop)}`);
    if (monthdays !== ALL_MONTHDAYS) words.push(`--monthdays ${listBits(monthdays).join(",")}`);
    if (weekdays !== ALL_WEEKDAYS)
      words.push(
        `--weekdays ${listBits(weekdays)
          .map((day) => WEEKDAYS[day - 1]!)
          .join(",")}`,
      );
    if (from !== 0) words.push(`--datestart ${formatDate(from)}`);
    words.push(`--datestop ${formatDate(until)}`);
    if (local) words.push("--kerneltz");
    if (contiguous) words.push("--contiguous");
    return words.join(" ");
  }
}

const listBits = (bits: number): number[] =>
  Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => (bits >>> bit) & 1);

function formatTime(seconds: number): string {
  const two = (value: number): string => `${value}`.padStart(2, "0");
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

const formatDate = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(0, 19);

function readTime(token: Token | null, otherwise: number): number {
  if (token === null) return otherwise;
  const [, hour, minute, second = "0"] = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?$/.exec(token.text) ?? [];
  if (hour === undefined || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59)
    throw unexpected(token, "a time of day (hh:mm or hh:mm:ss)");
  return Number(hour) * 3600 + Number(minute) * 60 + Number(second);
}

function readDate(token: Token | null, otherwise: number): number {
  if (token === null) return otherwise;
  const found = /^(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:T(\d{1,2})(?::(\d{1,2})(?::(\d{1,2}))?)?)?)?)?$/.exec(token.text);
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = (found ?? [])
    .slice(1)
    .map((digits) => (digits === undefined ? undefined : Number(digits)));
  const inRange = year >= 1970 && year <= 2038 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
  if (found === null || !inRange || hour > 23 || minute > 59 || second > 59)
    throw unexpected(token, "a date (YYYY[-MM[-DD[Thh[:mm[:ss]]]]], 1970-2038)");
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000;
}

function readDays(options: Options, name: string, all: number, read: (item: Token) => number): number {
  const given = options.get(name);
  if (given === null) return all;
  let bits = 0;
  for (const item of splitList(given.values[0]!)) bits |= 1 << read(item);
  return given.not ? all & ~bits : bits;
}

/** A number from Monday on, or the first two letters of a day, whatever follows. */
function readWeekday(item: Token): number {
  const number = /^[1-7]$/.test(item.text)
    ? Number(item.text)
    : WEEKDAYS.findIndex((day) => item.text.toLowerCase().startsWith(day.slice(0, 2).toLowerCase())) + 1;
  if (number === 0) throw unexpected(item, "a day of the week (Mon-Sun or 1-7)");
  return number;
}

function readMonthday(item: Token): number {
  const day = /^\d+$/.test(item.text) ? Number(item.text) : 0;
  if (day < 1 || day > 31) throw unexpected(item, "a day of the month (1-31)");
  return day;
}

export const timeKind: MatchKind = {
  name: "time",
  options: [
    { name: "timestart" },
    { name: "timestop" },
    { name: "datestart" },
    { name: "datestop" },
    { name: "monthdays", not: true },
    { name: "weekdays", not: true },
    { name: "kerneltz", aliases: ["localtz"], values: 0, excludes: ["utc"] },
    { name: "utc", values: 0 },
    { name: "contiguous", values: 0 },
  ],
  parse(options) {
    const start = readTime(options.value("timestart"), 0);
    const stop = readTime(options.value("timestop"), LAST_SECOND);
    const contiguous = options.get("contiguous");
    if (contiguous !== null && start < stop)
      throw unexpected(contiguous.token, "--contiguous only with a --timestop before its --timestart");
    return new TimeMatch({
      start,
      stop,
      from: readDate(options.value("datestart"), 0),
      until: readDate(options.value("datestop"), LAST_DATE),
      weekdays: readDays(options, "weekdays", ALL_WEEKDAYS, readWeekday),
      monthdays: readDays(options, "monthdays", ALL_MONTHDAYS, readMonthday),
      contiguous: contiguous !== null,
      local: options.has("kerneltz"),
    });
  },
};
