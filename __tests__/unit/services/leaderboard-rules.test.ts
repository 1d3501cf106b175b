import { describe, expect, it } from 'vitest';
import {
  attendancePoints,
  homeworkPoints,
  rank,
  shownToFamily,
} from '../../../src/services/dashboard/leaderboard-rules.ts';

const standing = (name: string, points: number) => ({ studentId: name, name, points });

describe('leaderboard rules', () => {
  it('DB4: ties share a rank and the next one counts them; inside a tie by name', () => {
    const ranked = rank([
      standing('e', 0),
      standing('c', 95),
      standing('a', 120),
      standing('b', 95),
      standing('d', 90),
    ]);
    expect(ranked.map((row) => [row.name, row.points, row.rank])).toEqual([
      ['a', 120, 1],
      ['b', 95, 2],
      ['c', 95, 2],
      ['d', 90, 4],
      ['e', 0, 5],
    ]);
  });

  it('DB4: families see ranks 1 to 10, with all of a tie, and their own', () => {
    const ranked = rank(Array.from({ length: 14 }, (_, index) => standing(`s${index}`, index < 9 ? 100 - index : 50)));
    expect(shownToFamily(ranked, new Set())).toHaveLength(14);
    const spread = rank(Array.from({ length: 14 }, (_, index) => standing(`s${index}`, -index)));
    expect(shownToFamily(spread, new Set(['s12'])).map((row) => row.rank)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13]);
  });

  it('DB2: marks and homework are worth what the school says', () => {
    expect(['present', 'on_duty', 'late', 'half_day', 'absent', 'excused', null].map(attendancePoints)).toEqual([
      2, 2, 1, 1, 0, 0, 0,
    ]);
    expect(homeworkPoints(false, null, 1000)).toBe(10);
    expect(homeworkPoints(true, null, 1000)).toBe(4);
    expect(homeworkPoints(false, 900, 1000)).toBe(15);
    expect(homeworkPoints(true, 899, 1000)).toBe(4);
    expect(homeworkPoints(false, null, null)).toBe(10);
  });
});
