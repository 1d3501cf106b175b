import type { Log } from '../../lib/log.ts';

/** Something that a student who leaves still has or owes. */
export interface OpenItem {
  id: string;
  /** In words for the office: an invoice's number, a book's name. */
  label: string;
  due_on: string | null;
  /** Money only. */
  amount_minor: number | null;
}

/** What one service knows of it (A6). A service that lends or bills declares one where services are wired. */
export interface Obligations {
  kind: 'loans' | 'dues';
  openOf(studentId: string): Promise<OpenItem[]>;
}

export interface OpenItems {
  /** By kind; null for a source that could not be asked. */
  items: Record<string, OpenItem[] | null>;
  degraded: string[];
}

/** Asks every service what a student still has or owes. The student has left already, so a source that fails is only named. */
export async function openItemsOf(
  studentId: string,
  sources: readonly Obligations[],
  log: Pick<Log, 'warn'>,
): Promise<OpenItems> {
  const answers = await Promise.allSettled(sources.map((source) => source.openOf(studentId)));
  const items: OpenItems['items'] = {};
  const degraded: string[] = [];
  for (const [index, answer] of answers.entries()) {
    const { kind } = sources[index]!;
    if (answer.status === 'fulfilled') items[kind] = answer.value;
    else {
      items[kind] = null;
      degraded.push(kind);
      log.warn('open items of a leaving student not known', { kind, error: answer.reason });
    }
  }
  return { items, degraded };
}
