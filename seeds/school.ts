import { namedId } from '../src/lib/ids.ts';
import { instantAt, versionOf } from './dates.ts';
import type { Row } from './rows.ts';
import type { Scale } from './scale.ts';
import type { SchoolYear } from './school-year.ts';

export const DEMO_SCHOOL_CODE = 'DEMO';

/** What the school's row keeps about its seeding, under `settings.demo_seed`. */
export interface SeedMark {
  scale: Scale;
  today: string;
}

/** Tunables of the business rules with their defaults. */
const SETTINGS = {
  edit_window_days: 2,
  min_attendance_bp: 7_500,
  absence_notice_delay_min: 10,
  duplicate_window_s: 60,
  bounce_charge_minor: 0,
  leaderboard_enabled: true,
  day_start: '08:30',
  adjust_limit_qty: 20,
};

export function schoolRows(year: SchoolYear, mark: SeedMark): Row[] {
  const since = instantAt(year.startsOn, '09:00');
  return [
    {
      id: namedId('school'),
      code: DEMO_SCHOOL_CODE,
      name: 'Schools24 Demo School',
      timezone: 'Asia/Kolkata',
      currency: 'INR',
      school_weekdays: [1, 2, 3, 4, 5, 6],
      locale: 'en-IN',
      settings: { ...SETTINGS, demo_seed: mark },
      created_at: since,
      updated_at: since,
      version: versionOf(since),
    },
  ];
}
