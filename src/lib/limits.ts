/**
 * How many characters the text columns take, by table and column. The database counts code points (`char_length`); joi's
 * `max` counts UTF-16 units, which are never fewer, so a schema with the same number lets nothing through that the database
 * would refuse. Migrations spell the numbers out themselves, since they are history; a test holds the two together.
 */
export const LIMITS = {
  schools: { code: 32, name: 200, timezone: 64, locale: 35 },
  academic_years: { name: 50 },
  terms: { name: 50 },
  users: { login: 64, email: 254, phone: 32, password_hash: 255 },
  user_sessions: { user_agent: 500, revoke_reason: 100 },
  staff: { employee_no: 32, full_name: 200, designation: 100, department: 100, licence_no: 50 },
  students: { admission_no: 32, full_name: 200, gender: 30, house: 50, leave_reason: 500 },
  guardians: { full_name: 200, phone: 32, email: 254 },
  student_guardians: { relation: 50 },
  classes: { section: 10, name: 50, room: 50 },
  subjects: { code: 16, name: 100 },
  files: { bucket: 100, object_key: 1024, file_name: 255, mime: 127, sha256: 64 },
  school_days: { reason: 200 },
  events: { title: 200, description: 5_000, tz: 64, rrule: 500, location: 200 },
  event_exceptions: { new_title: 200 },
  event_rsvps: { note: 500 },
  outbox_events: { name: 100, aggregate_id: 200 },
  idempotency_keys: { key: 200, method: 10, path: 500 },
  point_entries: { reason: 500 },
  announcements: { title: 200, body: 10_000 },
  homework: { title: 300, description: 20_000 },
  homework_extensions: { reason: 500 },
  homework_submissions: { body: 50_000 },
  homework_grades: { feedback: 5_000 },
  attendance_entries: { remark: 500 },
  attendance_corrections: { reason: 500 },
  leave_requests: { reason: 1_000 },
} as const;
