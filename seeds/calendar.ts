import type { EventInput } from '../src/services/calendar/calendar-event.ts';
import type { StoredAudience, StoredEvent } from '../src/services/calendar/calendar-store.ts';
import { schoolDayRows as rowsOfDays } from '../src/services/calendar/school-days.ts';
import { columnsOf } from '../src/services/calendar/series.ts';
import type { Structure } from './classes.ts';
import { addDays, instantAt, versionOf, weekdayOf } from './dates.ts';
import { timedId } from './ids.ts';
import type { People } from './people.ts';
import { createRandom } from './random.ts';
import type { Row } from './rows.ts';
import type { Closing, SchoolYear } from './school-year.ts';

export type CalendarRows = Record<'events' | 'event_audiences' | 'school_days', Row[]>;

/** At full size 160 events, 30 of them recurring; a smaller school has as many a class. */
const FULL = { classes: 60, recurring: 29, single: 103 };
const SCHOOL_WEEKDAYS = [1, 2, 3, 4, 5, 6];
const DAY_MINUTES = 1_440;
const WEEKDAYS = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA'];

const RECURRING = ['Class assembly', 'Reading hour', 'Chess club', 'Science club', 'Choir practice', 'Sports practice'];
const SINGLE = [
  { title: 'Unit test', kind: 'exam', start: '09:00', minutes: 90 },
  { title: 'Class excursion', kind: 'event', start: '08:30', minutes: 360 },
  { title: 'Parent–teacher meeting', kind: 'meeting', start: '14:00', minutes: 120 },
  { title: 'Project exhibition', kind: 'event', start: '11:00', minutes: 120 },
  { title: 'School function', kind: 'event', start: '10:00', minutes: 180 },
  { title: 'Staff meeting', kind: 'meeting', start: '15:00', minutes: 60 },
] as const;

/** The year's calendar: what closes the school, classes' series, and single events on open days. */
export function createCalendar({ classes }: Structure, year: SchoolYear, { adminUserId }: People): CalendarRows {
  const random = createRandom('calendar');
  const since = instantAt(year.startsOn, '09:00');
  const events: StoredEvent[] = [];
  const add = (
    name: string,
    fields: Partial<EventInput> & Pick<EventInput, 'title' | 'start_local'>,
    audiences: StoredAudience[],
  ) => {
    const columns = columnsOf({ ...DEFAULTS, ...fields }, []);
    const stamps = { created_by: adminUserId, created_at: since, updated_at: since, version: versionOf(since) };
    events.push({ event: { id: timedId(`event:${name}`, since), ...columns, ...stamps }, exceptions: [], audiences });
  };
  for (const closing of year.closings)
    add(`closing:${closing.name}`, closingFields(closing, year), [{ kind: 'school' }]);

  const share = classes.length / FULL.classes;
  for (let index = 0; index < Math.ceil(FULL.recurring * share); index++) {
    const title = RECURRING[index % RECURRING.length]!;
    const first = addDays(year.startsOn, index % 5);
    const day = WEEKDAYS[weekdayOf(first)]!;
    const fields = { title, start_local: `${first}T13:00`, duration_min: 40, is_skip_closed: true };
    const rrule = `FREQ=WEEKLY;BYDAY=${day};UNTIL=${utcEnd(year.endsOn)}`;
    add(`series:${index}`, { ...fields, rrule }, [{ kind: 'class', class_id: classes[index % classes.length]!.id }]);
  }
  const openDays = year.days.filter(({ isOpen }) => isOpen).map(({ on }) => on);
  for (let index = 0; index < Math.ceil(FULL.single * share); index++) {
    const { title, kind, start, minutes } = SINGLE[index % SINGLE.length]!;
    const fields = { title, kind, start_local: `${random.pick(openDays)}T${start}`, duration_min: minutes };
    add(`single:${index}`, fields, audiencesOf(title, classes[index % classes.length]!.id));
  }
  return {
    events: events.map(({ event }) => ({ ...event })),
    event_audiences: events.flatMap(({ event, audiences }) =>
      audiences.map(({ kind, role, class_id }, place) => ({
        id: timedId(`audience:${event.id}:${place}`, since),
        event_id: event.id,
        kind,
        role: role ?? null,
        class_id: class_id ?? null,
      })),
    ),
    school_days: rowsOfDays(
      year.days.map(({ on }) => on),
      events.filter(({ event }) => event.is_school_closed),
      SCHOOL_WEEKDAYS,
    ).map((row) => ({ ...row, academic_year_id: year.id })),
  };
}

const DEFAULTS: Omit<EventInput, 'title' | 'start_local'> = {
  description: null,
  kind: 'event',
  is_all_day: false,
  duration_min: 60,
  tz: 'Asia/Kolkata',
  rrule: null,
  is_school_closed: false,
  is_skip_closed: false,
  location: null,
  status: 'published',
};

function closingFields({ name, from, to, byDay }: Closing, { endsOn }: SchoolYear) {
  const days = Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000) + 1;
  return {
    title: name,
    kind: 'holiday' as const,
    is_all_day: true,
    is_school_closed: true,
    start_local: `${from}T00:00`,
    duration_min: days * DAY_MINUTES,
    rrule: byDay ? `FREQ=MONTHLY;BYDAY=${byDay};UNTIL=${endsOn.replaceAll('-', '')}` : null,
  };
}

function audiencesOf(title: string, classId: string): StoredAudience[] {
  if (title === 'School function') return [{ kind: 'school' }];
  if (title === 'Staff meeting')
    return [
      { kind: 'role', role: 'teacher' },
      { kind: 'role', role: 'principal' },
    ];
  return [{ kind: 'class', class_id: classId }];
}

/** The last minute of a school date, as UNTIL wants it. */
const utcEnd = (date: string): string => `${instantAt(date, '23:59').slice(0, 19).replace(/[-:]/g, '')}Z`;
