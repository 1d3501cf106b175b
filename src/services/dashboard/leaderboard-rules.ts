export interface Standing {
  studentId: string;
  name: string;
  points: number;
}

export interface Ranked extends Standing {
  rank: number;
}

/** DB4: rank = 1 + number with more points; inside a tie by name. */
export function rank(standings: readonly Standing[]): Ranked[] {
  const sorted = [...standings].sort((a, b) => b.points - a.points || (a.name < b.name ? -1 : 1));
  let current = 0;
  return sorted.map((standing, index) => {
    if (index === 0 || standing.points < sorted[index - 1]!.points) current = index + 1;
    return { ...standing, rank: current };
  });
}

/** DB4: families see ranks 1 to 10, and their own rows. */
const SHOWN_TO_FAMILIES = 10;

export const shownToFamily = (ranked: readonly Ranked[], own: ReadonlySet<string>): Ranked[] =>
  ranked.filter(({ rank: place, studentId }) => place <= SHOWN_TO_FAMILIES || own.has(studentId));

/** DB2: what a day's mark is worth. */
export const attendancePoints = (status: string | null): number =>
  status === 'present' || status === 'on_duty' ? 2 : status === 'late' || status === 'half_day' ? 1 : 0;

/** DB2: what a homework is worth; `finalX100` once it is released. */
export function homeworkPoints(isLate: boolean, finalX100: number | null, maxX100: number | null): number {
  const isExcellent = finalX100 !== null && maxX100 !== null && finalX100 * 10 >= maxX100 * 9;
  return (isLate ? 4 : 10) + (isExcellent ? 5 : 0);
}
