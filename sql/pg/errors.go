package pg

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrCommitUnknown means that a commit was sent and its answer was not understood: it may have happened.
var ErrCommitUnknown = errors.New("the outcome of the commit is not known")

// IsNoRows reports a query that found nothing.
func IsNoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

// ConstraintName is the violated constraint's name, or "" if err is no constraint violation.
func ConstraintName(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgerrcode.IsIntegrityConstraintViolation(pgErr.Code) {
		return pgErr.ConstraintName
	}
	return ""
}

// IsContention reports that the transaction met another one, with a lock time-out, a deadlock or a
// serialization failure, or that a statement took longer than StatementTimeout. Nothing was written and the same
// work may be tried again: each part of it by itself, since one part may be what was in the way or too slow.
func IsContention(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	switch pgErr.Code {
	case pgerrcode.LockNotAvailable, pgerrcode.DeadlockDetected, pgerrcode.SerializationFailure, pgerrcode.QueryCanceled:
		return true
	}
	return false
}

// IsUnavailable reports that the database could not be reached, is starting or stopping, or dropped the
// connection. The work may have been committed unless it never got as far as a statement.
func IsUnavailable(err error) bool {
	if err == nil {
		return false
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pgErr.Code {
		case pgerrcode.AdminShutdown, pgerrcode.CrashShutdown, pgerrcode.CannotConnectNow,
			pgerrcode.DatabaseDropped, pgerrcode.TooManyConnections, pgerrcode.IdleInTransactionSessionTimeout,
			pgerrcode.IdleSessionTimeout, pgerrcode.ReadOnlySQLTransaction:
			return true
		}
		return pgerrcode.IsConnectionException(pgErr.Code) || pgerrcode.IsInsufficientResources(pgErr.Code) ||
			pgerrcode.IsSystemError(pgErr.Code)
	}
	var connectErr *pgconn.ConnectError
	var netErr net.Error
	return errors.As(err, &connectErr) || errors.As(err, &netErr) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrCommitUnknown)
}
