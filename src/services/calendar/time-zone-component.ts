import { wallTimeOf } from '../../lib/clock.ts';

const MINUTE_MS = 60_000;
/** Shorter than any stretch between two changes of a zone's offset. */
const STEP_MS = 7 * 86_400_000;

interface Transition {
  /** The first instant of the new offset, ms. */
  atMs: number;
  /** Offsets in minutes. */
  from: number;
  to: number;
}

/**
 * The VTIMEZONE of a zone for a stretch of time (RFC 5545 §3.6.5): its changes are listed one by one as the runtime's own
 * zone data has them, so that every reader makes the instants of them that this program does. Each is a component of its
 * own: of several dates in one RDATE widespread readers (ical.js, libical) take the first, and not that of DTSTART.
 *
 * @returns lines without their ends
 */
export function timeZoneComponent(tz: string, fromMs: number, toMs: number): string[] {
  const transitions = transitionsOf(tz, fromMs, toMs);
  const first = transitions[0]?.from ?? offsetAt(fromMs, tz);
  const lines = ['BEGIN:VTIMEZONE', `TZID:${tz}`, ...observance('STANDARD', first, first, '19700101T000000')];
  for (const { atMs, from, to } of transitions) {
    const start = compact(new Date(atMs + from * MINUTE_MS));
    lines.push(...observance(to > from ? 'DAYLIGHT' : 'STANDARD', from, to, start));
  }
  return [...lines, 'END:VTIMEZONE'];
}

function observance(kind: 'STANDARD' | 'DAYLIGHT', from: number, to: number, start: string): string[] {
  return [
    `BEGIN:${kind}`,
    `DTSTART:${start}`,
    `TZOFFSETFROM:${offsetText(from)}`,
    `TZOFFSETTO:${offsetText(to)}`,
    `END:${kind}`,
  ];
}

function transitionsOf(tz: string, fromMs: number, toMs: number): Transition[] {
  const found: Transition[] = [];
  let from = offsetAt(fromMs, tz);
  for (let ms = fromMs; ms < toMs; ms += STEP_MS) {
    const to = offsetAt(ms + STEP_MS, tz);
    if (to === from) continue;
    found.push({ atMs: changeWithin(tz, ms, ms + STEP_MS, from), from, to });
    from = to;
  }
  return found;
}

/** The first whole minute whose offset is no longer the old one. */
function changeWithin(tz: string, beforeMs: number, afterMs: number, old: number): number {
  let low = Math.floor(beforeMs / MINUTE_MS);
  let high = Math.ceil(afterMs / MINUTE_MS);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle * MINUTE_MS, tz) === old) low = middle;
    else high = middle;
  }
  return high * MINUTE_MS;
}

function offsetAt(ms: number, tz: string): number {
  const minute = Math.floor(ms / MINUTE_MS);
  return Date.parse(`${wallTimeOf(new Date(ms), tz)}:00Z`) / MINUTE_MS - minute;
}

/** A date's UTC fields as a floating DATE-TIME. */
const compact = (date: Date): string => date.toISOString().slice(0, 19).replace(/[-:]/g, '');

function offsetText(minutes: number): string {
  const size = Math.abs(minutes);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${two(size % 60)}`;
}
