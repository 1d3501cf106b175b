import { defineError } from './app-error.ts';

// Any endpoint
export const MalformedRequestError = defineError('MALFORMED_REQUEST', 400, 'The request cannot be read');
export const ValidationError = defineError('VALIDATION_FAILED', 400, 'The request breaks the rules of its fields');
export const UnauthenticatedError = defineError('UNAUTHENTICATED', 401, 'An access token is needed');
export const InvalidTokenError = defineError('INVALID_TOKEN', 401, 'The access token is not valid');
export const ExpiredTokenError = defineError('ACCESS_TOKEN_EXPIRED', 401, 'The access token has expired');
export const SessionEndedError = defineError('SESSION_ENDED', 401, 'This login has ended');
export const ForbiddenError = defineError('FORBIDDEN', 403, 'Your role does not allow this');
export const NotFoundError = defineError('NOT_FOUND', 404, 'There is no such resource');
export const MethodNotAllowedError = defineError('METHOD_NOT_ALLOWED', 405, 'This resource does not take that method');
export const ConflictError = defineError('CONFLICT', 409, 'The request conflicts with the present state');
export const TakenError = defineError('TAKEN', 409, 'This value is taken');
export const BadStateError = defineError('BAD_STATE', 409, 'The present state does not allow this');
export const VersionConflictError = defineError('VERSION_CONFLICT', 412, 'The resource has changed');
export const PayloadTooLargeError = defineError('PAYLOAD_TOO_LARGE', 413, 'The request body is too large');
export const UnsupportedMediaTypeError = defineError('UNSUPPORTED_MEDIA_TYPE', 415, 'The request body must be JSON');
export const UnprocessableError = defineError('RULE_BROKEN', 422, 'A rule refuses this');
export const WriteRefusedByStoreError = defineError('WRITE_REFUSED', 409, 'The database refuses this write');
export const RateLimitedError = defineError('RATE_LIMITED', 429, 'Too many requests');
export const TooManyStreamsError = defineError('TOO_MANY_STREAMS', 429, 'This user has too many streams open');
export const InternalError = defineError('INTERNAL', 500, 'Internal error');

// Not now: all with Retry-After
export const BufferFullError = defineError('BUFFER_FULL', 503, 'The write buffer is full');
export const BufferUnavailableError = defineError('BUFFER_UNAVAILABLE', 503, 'The write buffer cannot be reached');
export const DatabaseUnavailableError = defineError('DATABASE_UNAVAILABLE', 503, 'A database cannot be reached');
export const FlushPendingError = defineError('FLUSH_PENDING', 503, 'Earlier writes must be stored first');
export const OverloadedError = defineError('OVERLOADED', 503, 'This server has too much to do');
export const StorageUnavailableError = defineError('STORAGE_UNAVAILABLE', 503, 'The file store cannot be reached');
export const ShuttingDownError = defineError('SHUTTING_DOWN', 503, 'This server is stopping');

// Idempotency-Key
export const IdempotencyKeyRequiredError = defineError(
  'IDEMPOTENCY_KEY_REQUIRED',
  400,
  'An Idempotency-Key header is needed',
);
export const IdempotencyMismatchError = defineError(
  'IDEMPOTENCY_MISMATCH',
  409,
  'This Idempotency-Key belongs to another request',
);
export const IdempotencyInProgressError = defineError(
  'IDEMPOTENCY_IN_PROGRESS',
  409,
  'The first request with this Idempotency-Key is still running',
);

// Auth and school core
export const BadCredentialsError = defineError('BAD_CREDENTIALS', 401, 'Login or password is wrong');
export const RefreshInvalidError = defineError('REFRESH_INVALID', 401, 'The refresh token is not valid');
export const RefreshReusedError = defineError(
  'REFRESH_REUSED',
  401,
  'The refresh token was used before; this login is ended',
);
export const SuspendedError = defineError('SUSPENDED', 403, 'This account is not active');
export const LockedError = defineError('LOCKED', 429, 'Too many failed logins');
export const WeakPasswordError = defineError('WEAK_PASSWORD', 422, 'The password is too weak');
export const TokenExpiredError = defineError('TOKEN_EXPIRED', 422, 'The link has expired or was used');
export const LastAdminError = defineError('LAST_ADMIN', 422, 'The last active admin must stay');
export const SelfDemotionError = defineError('SELF_DEMOTION', 422, 'Nobody drops their own admin role');
export const BadHeaderError = defineError('BAD_HEADER', 422, 'The file does not have the expected columns');
export const BadCsvError = defineError('BAD_CSV', 422, 'The file cannot be read as a table');
export const TeacherClashError = defineError('TEACHER_CLASH', 409, 'The teacher has another lesson at that time');
export const HasDataError = defineError('HAS_DATA', 409, 'Other data depends on this');
export const ClassFullError = defineError('CLASS_FULL', 422, 'The class is full');
export const DateOverlapError = defineError('DATE_OVERLAP', 409, 'The dates overlap');
export const FileTypeError = defineError('FILE_TYPE', 422, 'This type of file is not accepted');
export const FileSizeError = defineError('FILE_SIZE', 422, 'The file is too large');
export const NotUploadedError = defineError('NOT_UPLOADED', 422, 'The file has not been uploaded');

// Dashboard
export const LeaderboardOffError = defineError('LEADERBOARD_OFF', 403, 'This school shows no leaderboards');
export const PointsLimitError = defineError('POINTS_LIMIT', 422, 'The month has no room for so many points');

// Homework
export const BadWindowError = defineError('BAD_WINDOW', 422, 'The dates do not fit together');
export const FileNotReadyError = defineError('FILE_NOT_READY', 422, 'A file is not ready or not yours');
export const HasSubmissionsError = defineError('HAS_SUBMISSIONS', 409, 'Students have handed in already');
export const HasGradesError = defineError('HAS_GRADES', 409, 'Grades exist already');
export const SubmissionClosedError = defineError('SUBMISSION_CLOSED', 422, 'Handing in has ended');
export const RevisionsExhaustedError = defineError('REVISIONS_EXHAUSTED', 422, 'No further revision is allowed');
export const AlreadyGradedError = defineError('ALREADY_GRADED', 409, 'The submission is graded already');
export const MarkRangeError = defineError('MARK_RANGE', 422, 'A mark is out of range');
export const NotEnrolledError = defineError('NOT_ENROLLED', 422, 'A student is not in this class on that date');

// Calendar
export const RangeTooWideError = defineError('RANGE_TOO_WIDE', 422, 'The range is too wide');
export const BadRruleError = defineError('BAD_RRULE', 422, 'The recurrence rule cannot be used');
export const TooManyError = defineError('TOO_MANY', 422, 'The series has too many occurrences');
export const NoSuchOccurrenceError = defineError('NO_SUCH_OCCURRENCE', 422, 'The event has no such occurrence');
export const RsvpClosedError = defineError('RSVP_CLOSED', 422, 'Answers are no longer taken');
export const BadFeedTokenError = defineError('BAD_FEED_TOKEN', 401, 'The calendar address is not valid any more');

// Attendance
export const FutureDateError = defineError('FUTURE_DATE', 422, 'The date is in the future');
export const NotSchoolDayError = defineError('NOT_SCHOOL_DAY', 422, 'The school is closed on that date');
export const EditWindowOverError = defineError(
  'EDIT_WINDOW_OVER',
  422,
  'The sheet can no longer be edited; ask for a correction',
);
export const SheetClosedError = defineError('SHEET_CLOSED', 409, 'The sheet is closed');
export const CorrectionPendingError = defineError('CORRECTION_PENDING', 409, 'A correction is waiting for a decision');
export const TermLockedError = defineError('TERM_LOCKED', 422, 'The term is locked');
export const LeaveOverlapError = defineError('LEAVE_OVERLAP', 409, 'Another leave request covers these dates');
export const NoSchoolDaysError = defineError('NO_SCHOOL_DAYS', 422, 'The dates hold no school day');
