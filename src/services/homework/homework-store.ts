import type { Knex } from 'knex';
import type { Cache } from '../../cache/cache.ts';

/** Homework's own questions to PostgreSQL. */
export class HomeworkStore {
  readonly #knex: Knex;
  readonly #cache: Cache;

  constructor({ knex, cache }: { knex: Knex; cache: Cache }) {
    this.#knex = knex;
    this.#cache = cache;
  }

  /** Whether somebody has handed in, as far as the database knows. */
  async hasSubmissions(homeworkId: string): Promise<boolean> {
    const result = await this.#knex.raw(
      `SELECT EXISTS (SELECT 1 FROM homework_submissions WHERE homework_id = ? AND status <> 'draft') AS found`,
      [homeworkId],
    );
    return result.rows[0].found;
  }

  async hasGrades(homeworkId: string): Promise<boolean> {
    const result = await this.#knex.raw(
      'SELECT EXISTS (SELECT 1 FROM homework_grades WHERE homework_id = ?) AS found',
      [homeworkId],
    );
    return result.rows[0].found;
  }

  /** Ids of the homework that a file was given with. */
  async homeworkWith(fileId: string): Promise<string[]> {
    const result = await this.#knex.raw('SELECT homework_id AS id FROM homework_files WHERE file_id = ?', [fileId]);
    return (result.rows as { id: string }[]).map(({ id }) => id);
  }

  /** What a file was handed in with. */
  async submissionsWith(fileId: string): Promise<{ homeworkId: string; studentId: string }[]> {
    const result = await this.#knex.raw(
      `SELECT s.homework_id AS "homeworkId", s.student_id AS "studentId"
       FROM homework_submission_files f JOIN homework_submissions s ON s.id = f.submission_id WHERE f.file_id = ?`,
      [fileId],
    );
    return result.rows;
  }

  /** Keys of what is handed in and not graded, or was given back. */
  async ungraded(homeworkIds: readonly string[]): Promise<string[]> {
    const result = await this.#knex.raw(
      `SELECT s.homework_id || ':' || s.student_id AS key FROM homework_submissions s
       LEFT JOIN homework_grades g ON g.homework_id = s.homework_id AND g.student_id = s.student_id AND g.status <> 'returned'
       WHERE s.homework_id = ANY(?::uuid[]) AND s.status = 'submitted' AND g.homework_id IS NULL`,
      [[...homeworkIds]],
    );
    return result.rows.map(({ key }: { key: string }) => key);
  }

  /** What a student's work is worth as far as it is released; undefined while it is not. */
  async releasedMark(homeworkId: string, studentId: string): Promise<ReleasedMark | undefined> {
    const result = await this.#knex.raw(
      `SELECT g.final_x100 AS "finalX100", h.max_x100 AS "maxX100", s.is_late AS "isLate"
       FROM homework_grades g JOIN homework h ON h.id = g.homework_id
       JOIN homework_submissions s ON s.homework_id = g.homework_id AND s.student_id = g.student_id AND s.status <> 'draft'
       WHERE g.homework_id = ? AND g.student_id = ? AND g.released_at IS NOT NULL AND g.status = 'graded'`,
      [homeworkId, studentId],
    );
    return result.rows[0];
  }

  /** Grades of a homework by student; marks that are not released yet are for teachers only (H9). */
  async grades(homeworkId: string): Promise<Map<string, Grade>> {
    const { value } = await this.#cache.get<Grade[]>({
      name: `homework:grades:${homeworkId}`,
      ttlSeconds: 60,
      staleSeconds: 86_400,
      load: async () => {
        const result = await this.#knex.raw(
          `SELECT student_id AS "studentId", status, raw_x100 AS "rawX100", final_x100 AS "finalX100", feedback, released_at AS "releasedAt"
           FROM homework_grades WHERE homework_id = ?`,
          [homeworkId],
        );
        return result.rows;
      },
    });
    return new Map(value.map((grade) => [grade.studentId, grade]));
  }
}

export interface ReleasedMark {
  finalX100: number | null;
  maxX100: number | null;
  isLate: boolean;
}

export interface Grade {
  studentId: string;
  status: 'graded' | 'excused' | 'missing' | 'returned';
  rawX100: number | null;
  finalX100: number | null;
  feedback: string | null;
  releasedAt: string | null;
}
