/** How large the demo school is. */
export type Scale = 'small' | 'full';

export interface ScaleSizes {
  students: number;
  /** Families; those beyond one child each have a second one. */
  families: number;
  guardians: number;
  /** Four a class and eight for every four classes: each teaches one subject in the four classes of a block. */
  teachers: number;
  principals: number;
  admins: number;
  accountants: number;
  storekeepers: number;
  drivers: number;
  /** Grade and section of the classes; teacher001's come first, so that both scales have them. */
  classes: readonly (readonly [grade: number, section: string])[];
}

const FIRST_CLASSES = [
  [6, 'A'],
  [6, 'B'],
  [7, 'A'],
  [7, 'B'],
] as const;

/** The other classes of grades 1 to 12, sections A to E, grade by grade. */
const OTHER_CLASSES = Array.from({ length: 12 }, (_, index) => index + 1)
  .flatMap((grade) => ['A', 'B', 'C', 'D', 'E'].map((section) => [grade, section] as const))
  .filter(([grade, section]) => !FIRST_CLASSES.some(([g, s]) => g === grade && s === section));

export const SCALES: Readonly<Record<Scale, ScaleSizes>> = {
  small: {
    students: 100,
    families: 82,
    guardians: 155,
    teachers: 8,
    principals: 1,
    admins: 2,
    accountants: 1,
    storekeepers: 1,
    drivers: 2,
    classes: FIRST_CLASSES,
  },
  full: {
    students: 2_000,
    families: 1_640,
    guardians: 3_100,
    teachers: 120,
    principals: 2,
    admins: 4,
    accountants: 4,
    storekeepers: 2,
    drivers: 25,
    classes: [...FIRST_CLASSES, ...OTHER_CLASSES],
  },
};
