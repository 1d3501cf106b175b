import type { Structure } from './classes.ts';
import { addDays, instantAt, versionOf } from './dates.ts';
import { timedId } from './ids.ts';
import type { People } from './people.ts';
import type { Row } from './rows.ts';
import type { SchoolYear } from './school-year.ts';

const SCHOOL_WIDE = [
  {
    days: -6,
    title: 'Library week',
    body: 'The library is open until 17:00 all week. Bring a book you no longer need.',
  },
  {
    days: -2,
    title: 'Sports day',
    body: 'Sports day is on the last Saturday of the month. Registration is with the homeroom teachers.',
  },
  {
    days: -4,
    title: 'Half-yearly examination',
    body: 'The timetable of the half-yearly examination is on the notice board.',
  },
];

/** What is on the notice boards around today: for the school, for teachers, and one for every class. */
export function createAnnouncements({ classes }: Structure, people: People, year: SchoolYear): Row[] {
  const author = people.rows.users.find(({ login }) => login === 'admin')!.id;
  const row = (name: string, days: number, fields: Row): Row => {
    const at = instantAt(addDays(year.today, days), '07:30');
    return {
      id: timedId(`announcement:${name}`, at),
      author_id: author,
      class_id: null,
      role: null,
      publish_at: at,
      expires_at: null,
      announced_at: at,
      is_pinned: false,
      created_at: at,
      updated_at: at,
      version: versionOf(at),
      deleted_at: null,
      ...fields,
    };
  };
  return [
    ...SCHOOL_WIDE.map(({ days, ...texts }, index) =>
      row(`school:${index}`, days, { ...texts, audience: 'school', is_pinned: index === 1 }),
    ),
    row('teachers', -1, {
      title: 'Staff meeting',
      body: 'Staff meeting on Friday at 15:30 in the seminar room.',
      audience: 'role',
      role: 'teacher',
    }),
    ...classes.map(({ id, grade, section, homeroom }) =>
      row(`class:${grade}-${section}`, -3, {
        author_id: homeroom.userId,
        title: `Class photo of ${grade} ${section}`,
        body: 'Please come in the full uniform on the day of the class photo.',
        audience: 'class',
        class_id: id,
      }),
    ),
  ];
}
