import { namedId } from '../src/lib/ids.ts';
import type { Structure } from './classes.ts';
import type { Row } from './rows.ts';

/** Eight lessons Monday to Friday, four on Saturday: 44 a class and week. ISO weekdays. */
const LESSONS: readonly (readonly [weekday: number, periods: number])[] = [1, 2, 3, 4, 5]
  .map((weekday): readonly [number, number] => [weekday, 8])
  .concat([[6, 4]]);

const SUBJECTS_PER_CLASS = 8;
const CLASSES_PER_BLOCK = 4;
const FIRST_MINUTE = 8 * 60 + 45;
const LESSON_MINUTES = 40;
/** After the fourth lesson. */
const BREAK = { after: 4, minutes: 20 };
/** The lists of subjects begin elsewhere each day, so that a day does not look like the one before. */
const DAY_STEP = 3;

const clock = (minute: number): string =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;

/**
 * The week of every class. The four classes of a block share their teachers; each is two subjects ahead of the one before,
 * so no teacher is wanted in two classes at once.
 */
export function createTimetable({ classes, classSubjects }: Structure): Row[] {
  return classes.flatMap((schoolClass, index) => {
    const subjects = classSubjects.filter((subject) => subject.class === schoolClass);
    const ahead = (index % CLASSES_PER_BLOCK) * (SUBJECTS_PER_CLASS / CLASSES_PER_BLOCK);
    return LESSONS.flatMap(([weekday, periods]) =>
      Array.from({ length: periods }, (_, lesson): Row => {
        const starts = FIRST_MINUTE + lesson * LESSON_MINUTES + (lesson >= BREAK.after ? BREAK.minutes : 0);
        return {
          id: namedId(`slot:${schoolClass.grade}-${schoolClass.section}:${weekday}:${lesson + 1}`),
          class_id: schoolClass.id,
          weekday,
          period_no: lesson + 1,
          class_subject_id: subjects[(lesson + weekday * DAY_STEP + ahead) % SUBJECTS_PER_CLASS]!.id,
          starts_at: clock(starts),
          ends_at: clock(starts + LESSON_MINUTES),
        };
      }),
    );
  });
}
