/**
 * The schema once more, in the specification's own notation, written down apart from the migrations: `→t` foreign key,
 * `→t^` with cascade, `?` nullable, `∈(…)` one of a list, `=x` default, `+t` created_at and updated_at, `+v` version, `+d`
 * deleted_at; a type stands after the name where the name does not say it. UQ and IX as PostgreSQL spells their parts.
 */
export const SPECIFICATION: Readonly<Record<string, string>> = {
  schools: 'code, name, timezone, currency bpchar, school_weekdays _int2, locale, settings jsonb={}, +t, +v; UQ(code)',
  academic_years: 'name, starts_on, ends_on, is_current; UQ(name), UQ(is_current) WHERE is_current',
  terms:
    'academic_year_id→academic_years, seq int2, name, starts_on, ends_on, locked_at?; UQ(academic_year_id, seq), UQ(academic_year_id, name)',
  users:
    'login, email?, phone?, password_hash?, status∈(invited,active,suspended,archived), is_password_temporary=false, failed_logins int2=0, locked_until_at?, password_changed_at?, token_epoch int4=0, last_login_at?, prefs jsonb={}, +t, +v; UQ(lower(login)), UQ(lower(email)), IX(status)',
  user_roles:
    'PK(user_id, role), user_id→users^, role∈(admin,principal,teacher,student,parent,accountant,storekeeper,driver), granted_by→users, granted_at',
  user_sessions:
    'user_id→users^, generation int4, rotated_at, ip inet, user_agent, expires_at, revoked_at?, revoke_reason?, +t; IX(user_id) WHERE revoked_at IS NULL, IX(expires_at)',
  auth_tokens:
    'user_id→users^, kind∈(invite,reset), token_hash bytea, expires_at, used_at?, created_at=now(); UQ(token_hash)',
  staff:
    'user_id→users, employee_no, full_name, designation, department?, joined_on, left_on?, licence_no?, licence_expires_on?, +t, +v; UQ(user_id), UQ(employee_no)',
  students:
    'user_id→users?, admission_no, full_name, birth_on, gender?, house?, admitted_on, left_on?, leave_reason?, photo_file_id?, status∈(active,left,alumni), +t, +v; UQ(user_id), UQ(admission_no), IX(status), IX(lower(full_name) text_pattern_ops)',
  guardians: 'user_id→users?, full_name, phone, email?, +t, +v; UQ(user_id), IX(phone)',
  student_guardians:
    'PK(student_id, guardian_id), student_id→students, guardian_id→guardians, relation, is_primary, is_blocked, can_view, can_pay, can_pickup, is_notified; UQ(student_id) WHERE is_primary, IX(guardian_id)',
  classes:
    'academic_year_id→academic_years, grade int2, section, name, capacity int2, homeroom_staff_id→staff?, room?, +t, +v; UQ(academic_year_id, grade, section)',
  enrollments:
    'student_id→students, class_id→classes, roll_no int2, starts_on, ends_on?; UQ(student_id) WHERE ends_on IS NULL, UQ(class_id, roll_no) WHERE ends_on IS NULL, IX(class_id, starts_on)',
  subjects: 'code, name, is_elective; UQ(code)',
  class_subjects:
    'class_id→classes, subject_id→subjects, staff_id→staff, weights jsonb, +v; UQ(class_id, subject_id), IX(staff_id)',
  timetable_slots:
    'class_id→classes, weekday int2, period_no int2, class_subject_id→class_subjects, starts_at time, ends_at time; UQ(class_id, weekday, period_no)',
  teacher_substitutions:
    'class_id→classes, on_date date, absent_staff_id→staff, staff_id→staff, granted_by→users; UQ(class_id, on_date, absent_staff_id), IX(staff_id, on_date)',
  files:
    "owner_user_id→users, purpose∈(homework,submission,avatar,report,receipt,import), bucket, object_key, file_name, mime, size_bytes int8, sha256?, status∈(pending,ready,rejected,deleted), +t; UQ(object_key), IX(created_at) WHERE status = 'pending'",
  school_days: 'PK(on_date), on_date date, academic_year_id→academic_years, is_open, reason?, event_id?',
  events:
    'title, description?, kind∈(event,holiday,exam,meeting,closure), is_all_day, start_local timestamp, duration_min int4, tz, rrule?, starts_at, last_ends_at?, is_school_closed, is_skip_closed, location?, split_from_id?, status∈(draft,published,cancelled), created_by→users, +t, +v, +d; IX(starts_at, last_ends_at), IX(kind)',
  event_exceptions:
    'PK(event_id, occurrence_local), event_id→events^, occurrence_local timestamp, action∈(cancelled,changed), new_start_local timestamp?, new_duration_min int4?, new_title?, +t',
  event_audiences:
    'event_id→events^, kind∈(school,role,class,user), role∈(admin,principal,teacher,student,parent,accountant,storekeeper,driver)?, class_id→classes?, user_id→users?; UQ(event_id, kind, role, class_id, user_id) NULLS NOT DISTINCT, IX(class_id), IX(user_id)',
  event_rsvps:
    'PK(event_id, occurrence_local, user_id), event_id→events^, occurrence_local timestamp, user_id→users, answer∈(yes,no,maybe), note?, answered_at, +v, +d',
  calendar_feeds: 'PK(user_id), user_id→users^, epoch int4=1, +t',
  outbox_events:
    'seq int8, name, aggregate_id text, payload jsonb, created_at=now(), published_at?; UQ(seq), IX(seq) WHERE published_at IS NULL',
  flush_failures:
    'entity, buffer_key, version int8, payload json, error_code, error, attempts int2, first_at, last_at, resolution∈(retried,edited,discarded)?, resolved_by?, resolved_at?; UQ(entity, buffer_key) WHERE resolved_at IS NULL',
  idempotency_keys:
    'PK(user_id, key), user_id, key, method, path, body_hash bytea, status_code int2?, response jsonb?, created_at=now(), expires_at; IX(expires_at)',
  point_entries:
    'student_id→students, source∈(quiz,homework,attendance,bonus,manual), source_id, points int4, reason?, effective_on, created_by?, created_at; UQ(student_id, source, source_id), IX(student_id, effective_on)',
  announcements:
    'author_id→users, title, body, audience∈(school,class,role), class_id→classes?, role∈(admin,principal,teacher,student,parent,accountant,storekeeper,driver)?, publish_at, expires_at?, is_pinned, announced_at?, +t, +v, +d; IX(publish_at), IX(publish_at) WHERE (announced_at IS NULL) AND (deleted_at IS NULL), IX(is_pinned, publish_at, id) WHERE deleted_at IS NULL',
  homework:
    'class_subject_id→class_subjects, staff_id→staff, group_id?, title, description, assigned_on, publish_at, due_at, late_until_at?, late_deduct_bp=0, late_floor_bp=0, max_x100?, submission_kind∈(none,text,file,any), max_files int2=5, max_revisions int2=3, is_autosubmit, is_missing_zero, status∈(draft,published,closed,archived), +t, +v, +d; IX(class_subject_id, due_at), IX(staff_id, due_at)',
  homework_files: 'PK(homework_id, file_id), homework_id→homework^, file_id→files, position int2',
  homework_extensions:
    'PK(homework_id, student_id), homework_id→homework^, student_id→students, due_at, late_until_at?, reason, granted_by→staff, +t',
  homework_submissions:
    'homework_id→homework, student_id→students, revision int2, body?, status∈(draft,submitted,returned), saved_at, submitted_at?, is_late, late_days int2, +t, +v; UQ(homework_id, student_id), IX(student_id, submitted_at)',
  homework_submission_files:
    'PK(submission_id, file_id), submission_id→homework_submissions^, file_id→files, revision int2',
  homework_grades:
    'PK(homework_id, student_id), homework_id→homework, student_id→students, submission_id→homework_submissions?, status∈(graded,excused,missing,returned), raw_x100?, penalty_x100=0, final_x100?, is_penalty_waived, feedback?, graded_by→staff, graded_at, released_at?, +v',
  attendance_sheets:
    'class_id→classes, on_date date, period_no int2=0, class_subject_id→class_subjects?, status∈(open,closed,void), taken_by→users, taken_at, +t, +v; UQ(class_id, on_date, period_no), IX(on_date, period_no)',
  attendance_entries:
    'PK(sheet_id, student_id), sheet_id→attendance_sheets^, student_id→students, on_date date, status∈(present,late,half_day,absent,excused,on_duty), minutes_late int2?, remark?, marked_by→users, marked_at, entry_version int8; IX(student_id, on_date)',
  attendance_corrections:
    "sheet_id→attendance_sheets, student_id→students, old_status∈(present,late,half_day,absent,excused,on_duty)?, new_status∈(present,late,half_day,absent,excused,on_duty), reason, state∈(pending,approved,rejected), requested_by→users, decided_by→users?, decided_at?, +t; UQ(sheet_id, student_id) WHERE state = 'pending'",
  leave_requests:
    'student_id→students, from_on, to_on, part∈(full,am,pm), kind∈(sick,family,event,other), reason, status∈(pending,approved,rejected,cancelled), requested_by→users, decided_by→users?, decided_at?, +t, +v; IX(student_id, from_on)',
};

/** CHECKs besides lists and lengths. */
export const CHECKS: Readonly<Record<string, readonly string[]>> = {
  academic_years: ['ends_on > starts_on'],
  terms: ['ends_on >= starts_on'],
  classes: ['grade >= 1 AND grade <= 12', 'capacity > 0'],
  timetable_slots: ['weekday >= 1 AND weekday <= 7', 'period_no >= 1 AND period_no <= 12'],
  enrollments: ['ends_on >= starts_on'],
  files: ['size_bytes >= 1 AND size_bytes <= 26214400'],
  homework: ['late_until_at >= due_at'],
  events: ['duration_min > 0'],
  event_exceptions: ['new_duration_min > 0'],
  calendar_feeds: ['epoch > 0'],
  point_entries: ["points >= '-50' AND points <= 150"],
  announcements: [
    "audience = 'class' = class_id IS NOT NULL",
    "audience = 'role' = role IS NOT NULL",
    'expires_at > publish_at',
  ],
  attendance_entries: ['minutes_late >= 1 AND minutes_late <= 240'],
  leave_requests: ['to_on >= from_on'],
};

export interface ColumnSpec {
  type: string;
  isNullable: boolean;
  /** As PostgreSQL writes it, without casts; undefined for none. */
  default?: string;
  references?: string;
  values?: string[];
}

export interface TableSpec {
  columns: Record<string, ColumnSpec>;
  primaryKey: string;
  /** `UQ(a, b) WHERE …` and `IX(…)`. */
  indexes: string[];
}

const SHORTHAND: Readonly<Record<string, string>> = {
  '+t': 'created_at=now(), updated_at=now()',
  '+v': 'version int8=0',
  '+d': 'deleted_at?',
};

/** The type that a column's name stands for. */
function typeOf(name: string): string {
  if (/(^id|_id|_by|_to)$/.test(name)) return 'uuid';
  if (name.endsWith('_on')) return 'date';
  if (name.endsWith('_at')) return 'timestamptz(3)';
  if (/(_x100|_bp)$/.test(name)) return 'int4';
  if (name.endsWith('_minor')) return 'int8';
  return /^(is|can)_/.test(name) ? 'bool' : 'text';
}

/** Splits at commas outside of parentheses. */
const parts = (list: string): string[] => list.match(/(?:[^,(]|\([^)]*\)+)+/g)!.map((part) => part.trim());

const COLUMN =
  /^(?<name>\w+)(?: (?<type>\w+))?(?:→(?<table>\w+)(?<cascade>\^?))?(?:∈\((?<values>[^)]*)\))?(?<nullable>\??)(?:=(?<value>.+))?$/;

export function parseTable(line: string): TableSpec {
  const [columnList = '', indexList = ''] = line.split('; ');
  const spec: TableSpec = { columns: {}, primaryKey: 'id', indexes: indexList ? parts(indexList) : [] };
  const items = parts(columnList).flatMap((item) => parts(SHORTHAND[item] ?? item));
  for (const item of items) {
    const key = /^PK\((.*)\)$/.exec(item);
    if (key) {
      spec.primaryKey = key[1]!;
      continue;
    }
    const { name, type, table, cascade, values, nullable, value } = COLUMN.exec(item)!.groups!;
    spec.columns[name!] = {
      type: type ?? typeOf(name!),
      isNullable: nullable === '?',
      default: value,
      references: table && `${table} ${cascade ? 'CASCADE' : 'RESTRICT'}`,
      values: values?.split(','),
    };
  }
  if (spec.primaryKey === 'id') spec.columns.id = { type: 'uuid', isNullable: false };
  return spec;
}
